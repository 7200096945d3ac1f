//! Channels with erased types.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use runtime_library::{ChannelReceiver, ChannelSender};

use super::boxed::{AnyBox, BoxFuture, known};

/// A sender as an object.
pub(super) trait DynSender: Send + Sync {
    fn send(&self, value: AnyBox) -> BoxFuture<'_, Result<(), AnyBox>>;
}

impl<C: ChannelSender<AnyBox>> DynSender for C {
    fn send(&self, value: AnyBox) -> BoxFuture<'_, Result<(), AnyBox>> {
        Box::pin(ChannelSender::send(self, value))
    }
}

/// A receiver as an object.
pub(super) trait DynReceiver: Send {
    fn recv(&mut self) -> BoxFuture<'_, Option<AnyBox>>;
}

impl<C: ChannelReceiver<AnyBox>> DynReceiver for C {
    fn recv(&mut self) -> BoxFuture<'_, Option<AnyBox>> {
        Box::pin(ChannelReceiver::recv(self))
    }
}

/// The sending half of the channel of the scheduler under test.
pub struct AnySender<T> {
    sender: Arc<dyn DynSender>,
    _value: PhantomData<fn(T)>,
}

impl<T> AnySender<T> {
    pub(super) fn new(sender: Arc<dyn DynSender>) -> Self {
        Self {
            sender,
            _value: PhantomData,
        }
    }
}

impl<T> Clone for AnySender<T> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.sender))
    }
}

impl<T: Send + 'static> ChannelSender<T> for AnySender<T> {
    fn send(&self, value: T) -> impl Future<Output = Result<(), T>> + Send {
        let sending = self.sender.send(Box::new(value));
        async move { sending.await.map_err(known) }
    }
}

/// The receiving half.
pub struct AnyReceiver<T> {
    receiver: Box<dyn DynReceiver>,
    _value: PhantomData<fn() -> T>,
}

impl<T> AnyReceiver<T> {
    pub(super) fn new(receiver: Box<dyn DynReceiver>) -> Self {
        Self {
            receiver,
            _value: PhantomData,
        }
    }
}

impl<T: Send + 'static> ChannelReceiver<T> for AnyReceiver<T> {
    fn recv(&mut self) -> impl Future<Output = Option<T>> + Send {
        let receiving = self.receiver.recv();
        async move { receiving.await.map(known) }
    }
}
