//! A fault that rayon had, for the time machine. The arguments are the fault, its size and the workers; the output is a
//! line of JSON.

use std::time::Duration;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    assert_eq!(arguments[0], "idle-pool");
    let size: u32 = arguments[1].parse().unwrap();
    let pool = rayon_core::ThreadPoolBuilder::new().num_threads(8).build().unwrap();
    pool.install(|| {});
    let before = cpu_seconds();
    for _ in 0..size {
        std::thread::sleep(Duration::from_millis(1));
        pool.install(|| {});
    }
    println!("{{\"value\": {}}}", (cpu_seconds() - before) * 1e6 / f64::from(size));
}

/// CPU time of all threads of this process, from a clock with a resolution of a hundredth of a second.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit_once(") ").unwrap().1;
    let ticks = fields.split(' ').skip(11).take(2).map(|field| field.parse::<f64>().unwrap());
    ticks.sum::<f64>() / 100.0
}
