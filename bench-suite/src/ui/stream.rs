//! Server-sent events: the state of the measurement, sent whenever it changes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_lite::{FutureExt as _, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use runtime_core::Runtime;

use super::measuring::Measuring;

/// Something is sent at least this often, because the server only notices in a failed write that a browser has left.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// The body of a response that never ends by itself.
pub(super) fn body<R: Runtime>(
    rt: R,
    measuring: Arc<Measuring>,
) -> UnsyncBoxBody<Bytes, Infallible> {
    let events = stream::unfold(0, move |seen| {
        let (rt, measuring) = (rt.clone(), Arc::clone(&measuring));
        async move {
            let changed = async { Some(measuring.newer_than(seen).await) };
            let silent = async {
                rt.sleep(KEEP_ALIVE_INTERVAL).await;
                None
            };
            let (text, seen) = match changed.or(silent).await {
                Some((version, state)) => (format!("id: {version}\ndata: {state}\n\n"), version),
                None => (":\n\n".to_owned(), seen),
            };
            Some((Ok(Frame::data(Bytes::from(text))), seen))
        }
    });
    StreamBody::new(events).boxed_unsync()
}
