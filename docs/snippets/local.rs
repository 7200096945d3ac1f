//! Tasks that are not `Send`, which only N:1 supports.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

/// Two tasks share a vector without a lock.
pub fn shared_without_a_lock() -> io::Result<Vec<u32>> {
    // ANCHOR: local
    let event_loop = runtime_n1::Loop::new()?;
    let list = event_loop.block_on(async {
        let list = Rc::new(RefCell::new(Vec::new()));
        let other = Rc::clone(&list);
        let task = runtime_n1::spawn_local(async move { other.borrow_mut().push(1) });
        task.await
            .expect("the task neither panicked nor was aborted");
        list.borrow_mut().push(2);
        list.take()
    });
    // ANCHOR_END: local
    Ok(list)
}

#[cfg(test)]
mod tests {
    #[test]
    fn tasks_of_a_loop_may_share_what_is_not_send() {
        assert_eq!(super::shared_without_a_lock().unwrap(), [1, 2]);
    }
}
