//! Measures workloads in turns and prints tables.

use std::{env, fs, time::Duration};

use crate::workload::{Workload, threads};

/// The role of a row in the comparison.
#[derive(Clone, Copy, PartialEq)]
pub enum Role {
    /// The element without reuse, with which the following reuse rows are compared.
    Off,
    /// The element with reuse.
    Reuse,
    /// Another runtime in fp32. All are compared with the fastest of these.
    Peer,
    /// Another runtime in bf16. All are compared with the fastest of these.
    Bf16Peer,
    /// Only listed.
    Other,
}

pub struct Entry {
    pub name: String,
    pub role: Role,
    pub workload: Box<dyn Workload>,
}

/// Which average of the turns is reported.
#[derive(Clone, Copy)]
pub enum Average {
    /// For frames that are all the same amount of work: ignores noise.
    Median,
    /// For frames that differ.
    Mean,
    /// For engines on a machine that has other work: that can only lengthen a turn.
    Least,
}

/// How to measure the workloads of a table.
#[derive(Clone, Copy)]
pub struct Rules {
    /// Frames before the measurement: they load the model, measure the costs of reuse and let the
    /// session settle on a fixed shape.
    pub warm_up: usize,
    pub turns: usize,
    /// Frames per turn.
    pub frames: usize,
    pub average: Average,
}

impl Rules {
    /// The number of frames that a clip needs.
    pub fn all_frames(self) -> u32 {
        (self.warm_up + self.turns() * self.frames) as u32
    }

    /// `UPSCALE_BENCH_TURNS` limits it, for quick results.
    fn turns(self) -> usize {
        let limit = env::var("UPSCALE_BENCH_TURNS").ok().and_then(|text| text.parse().ok());
        self.turns.min(limit.unwrap_or(usize::MAX)).max(1)
    }
}

/// Lets all workloads process the same frames in turns, so that other load on the machine affects
/// all of them alike, and prints a table.
pub fn measure(title: &str, entries: &mut [Entry], rules: Rules) {
    let turns = rules.turns();
    let mut times = vec![Vec::with_capacity(turns); entries.len()];
    for entry in entries.iter_mut() {
        entry.workload.turn(rules.warm_up);
    }
    for _ in 0..turns {
        for (entry, times) in entries.iter_mut().zip(&mut times) {
            times.push(entry.workload.turn(rules.frames));
        }
    }
    let times: Vec<f64> = times
        .iter_mut()
        .map(|times| {
            let time = match rules.average {
                Average::Median => median(times),
                Average::Mean => mean(times),
                Average::Least => times.iter().min().copied().unwrap_or_default(),
            };
            time.as_secs_f64() * 1e3 / rules.frames as f64
        })
        .collect();
    print_table(title, entries, &times);
    println!("- load of the machine at the end: {}\n", load());
}

fn print_table(title: &str, entries: &[Entry], times: &[f64]) {
    let rows = || entries.iter().zip(times);
    let fastest = |role| {
        let times = rows().filter(|(entry, _)| entry.role == role).map(|(_, time)| *time);
        times.min_by(f64::total_cmp)
    };
    let peers = [fastest(Role::Peer), fastest(Role::Bf16Peer)];
    println!("### {title}\n");
    println!(
        "| | ms per frame | frames/s | × fastest fp32 peer | × fastest bf16 peer | × reuse off |"
    );
    println!("|---|---|---|---|---|---|");
    let mut off = None;
    for (Entry { name, role, .. }, &time) in rows() {
        if *role == Role::Off {
            off = Some(time);
        }
        let against_off = off.filter(|_| matches!(role, Role::Off | Role::Reuse));
        let [fp32, bf16, off] = [peers[0], peers[1], against_off].map(|base| {
            base.map_or_else(String::new, |base| match base / time {
                ratio if ratio >= 100.0 => format!("{ratio:.0}"),
                ratio => format!("{ratio:.2}"),
            })
        });
        println!("| {name} | {time:.2} | {:.1} | {fp32} | {bf16} | {off} |", 1000.0 / time);
    }
    println!();
    for Entry { name, workload, .. } in entries {
        if let Some(note) = workload.note() {
            println!("- {name}: {note}");
        }
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn mean(times: &mut [Duration]) -> Duration {
    times.iter().sum::<Duration>() / times.len().max(1) as u32
}

/// The CPU, the number of threads and the load of the machine.
pub fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let model = model.unwrap_or("unknown CPU");
    format!("Machine: {model}, {} threads; load {} at the start", threads(), load())
}

/// Processes that ran or waited for a processor, on average over the last minute.
fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or_default().to_owned()
}
