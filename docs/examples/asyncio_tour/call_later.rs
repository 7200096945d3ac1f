//! Functions that are called soon, later, or at a time of the loop's own clock.

use std::io;
use std::time::Duration;

use runtime_core::Runtime;
use runtime_core::calls::Calls as _;

// ANCHOR: program
pub async fn run<R: Runtime>(rt: R) -> io::Result<()> {
    let begun = rt.now(); // asyncio's `loop.time()`
    let clock = rt.clone();
    let say = move |what: &str| {
        let elapsed = clock.now().duration_since(begun);
        println!("{what} after {} ms", elapsed.as_millis());
    };

    let (later, at, soon) = (say.clone(), say.clone(), say.clone());
    let later = rt.call_later(Duration::from_millis(400), move || later("call_later(0.4)"));
    let at = rt.call_at(begun + Duration::from_millis(200), move || {
        at("call_at(begun + 0.2)")
    });
    let soon = rt.call_soon(move || soon("call_soon"));
    let never = rt.call_later(Duration::from_millis(100), move || say("cancelled"));
    never.cancel();

    for call in [soon, at, later] {
        call.await.map_err(io::Error::other)?;
    }
    assert!(never.await.is_err(), "a cancelled call is never made");
    Ok(())
}
// ANCHOR_END: program
