//! The blocking forms of the primitives on the blocking pool's threads.

use runtime_core::blocking::{BlockingConfig, BlockingPool};
use runtime_core::park::block_on_current_thread as block_on;
use runtime_core::sync::channel;

#[test]
fn blocking_forms_work_inside_of_a_job() {
    let pool = BlockingPool::new(BlockingConfig::default());
    let (sender, receiver) = channel(1);
    let producer = pool.spawn(move || {
        for number in 0..1000 {
            sender.blocking_send(number).unwrap();
        }
    });
    let consumer = pool.spawn(move || std::iter::from_fn(|| receiver.blocking_recv()).sum::<u32>());
    assert_eq!(block_on(consumer).unwrap(), 499_500);
    block_on(producer).unwrap();
}
