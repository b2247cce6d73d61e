//! Races and their tables.

use std::{fs, time::Duration};

use crate::contender::Contender;

/// Lets the contenders take `rounds` frames each, in turns, and prints a table. The first one
/// is what the others are compared with.
pub fn race(title: &str, contenders: &mut [Box<dyn Contender>], rounds: usize) {
    let mut times = vec![Vec::with_capacity(rounds); contenders.len()];
    for round in 0..=rounds {
        for (contender, times) in contenders.iter_mut().zip(&mut times) {
            let took = contender.step();
            // The first frame waits for the model.
            if round > 0 {
                times.push(took);
            }
        }
    }
    println!(
        "### {title}\n\n| | median ms | frames per second | against the first |\n|---|---|---|---|"
    );
    let medians: Vec<f64> = times.iter_mut().map(|times| median(times)).collect();
    for (contender, ms) in contenders.iter().zip(&medians) {
        let ratio = medians.first().map_or(0.0, |first| first / ms);
        println!("| {} | {ms:.2} | {:.1} | {ratio:.3}x |", contender.name(), 1000.0 / ms);
    }
    println!();
    for contender in contenders.iter() {
        if let Some(remark) = contender.remark() {
            println!("- {}: {remark}", contender.name());
        }
    }
    println!();
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
}

/// The processor and how many threads there are.
pub fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get());
    format!("Machine: {}, {threads} threads", model.unwrap_or("unknown processor"))
}
