//! A producer that is faster than its consumer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use runtime_core::{ChannelReceiver as _, ChannelSender as _, Runtime as _};

use crate::zoo::pathology::{Bound, Pathology};
use crate::zoo::stage::Stage;

pub(super) const PATHOLOGY: Pathology = Pathology {
    name: "queue-bound",
    measured: "items that the runtime's usual queue accepts while nobody reads, of 100,000",
    about: "A producer is faster than its consumer. An unbounded queue hides that until memory is full; a bounded \
            queue makes the producer wait. The program uses the queue of the runtime's own examples, with its \
            default bound, or with a bound of 16 if one must be given. It offers 100,000 items, and counts how \
            many the queue accepts before anyone reads.",
    issue: "https://github.com/celluloid/celluloid/issues/146",
    bound: Bound::AtMost(1_000.0, "items"),
    size: 100_000,
    quick_size: 10_000,
    program,
    drive: None,
    descriptors: None,
};

fn program(stage: &Stage) -> Result<f64, String> {
    let size = stage.size;
    stage.inside(move |rt| async move {
        let (sender, mut receiver) = rt.channel::<u64>(16);
        let taken = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&taken);
        let producer = rt.spawn(async move {
            for number in 0..size {
                if sender.send(number).await.is_err() {
                    return;
                }
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        // Wait until it has accepted no more for a tenth of a second.
        let mut before = 0;
        loop {
            rt.sleep(Duration::from_millis(100)).await;
            let now = taken.load(Ordering::SeqCst);
            if now == before && now > 0 {
                break;
            }
            before = now;
        }
        let held = taken.load(Ordering::SeqCst);
        for expected in 0..size {
            if receiver.recv().await != Some(expected) {
                return Err(format!("item {expected} was lost or out of turn"));
            }
        }
        producer.await.map_err(|error| error.to_string())?;
        Ok(held as f64)
    })
}
