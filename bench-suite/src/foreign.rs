//! Types of other crates under the traits of [`runtime_core`].
//!
//! A crate can't implement another crate's trait for a third crate's type. [`Foreign`] is the one wrapper for all such
//! types. Implementations that several places use are here; those for a single peer are in that peer's file.

use runtime_core::{ChannelReceiver, ChannelSender};

/// A type of another crate.
#[derive(Clone, Debug)]
pub struct Foreign<T>(pub T);

impl<T: Send + 'static> ChannelSender<T> for Foreign<async_channel::Sender<T>> {
    async fn send(&self, value: T) -> Result<(), T> {
        self.0.send(value).await.map_err(|error| error.0)
    }
}

impl<T: Send + 'static> ChannelReceiver<T> for Foreign<async_channel::Receiver<T>> {
    async fn recv(&mut self) -> Option<T> {
        self.0.recv().await.ok()
    }
}
