//! Measures workloads in turns and prints tables.

use std::{env, fs, time::Duration};

use crate::workload::{Workload, threads};

/// Frames before the measurement: they load the model, measure the costs of reuse and let the
/// session settle on a fixed shape.
pub const WARM_UP: usize = 8;

/// The role of a row in the comparison.
#[derive(Clone, Copy, PartialEq)]
pub enum Role {
    /// The element without reuse, with which the following reuse rows are compared.
    Off,
    /// The element with reuse.
    Reuse,
    /// ONNX Runtime alone, with which all are compared.
    Bare,
    /// Another runtime. All are compared with the fastest of these and of `Bare`.
    Peer,
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
}

/// How to measure the workloads of a table.
#[derive(Clone, Copy)]
pub struct Rules {
    pub turns: usize,
    /// Frames per turn.
    pub frames: usize,
    pub average: Average,
}

impl Rules {
    /// The number of frames that a clip needs.
    pub fn all_frames(self) -> u32 {
        (WARM_UP + self.turns() * self.frames) as u32
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
        entry.workload.turn(WARM_UP);
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
            };
            time.as_secs_f64() * 1e3 / rules.frames as f64
        })
        .collect();
    print_table(title, entries, &times);
}

fn print_table(title: &str, entries: &[Entry], times: &[f64]) {
    let rows = || entries.iter().zip(times);
    let fastest = |roles: &[Role]| {
        rows()
            .filter(|(entry, _)| roles.contains(&entry.role))
            .min_by(|(_, a), (_, b)| a.total_cmp(b))
            .map(|(entry, time)| (entry.name.as_str(), *time))
    };
    let bare = fastest(&[Role::Bare]).map(|(_, time)| time);
    let peer = fastest(&[Role::Bare, Role::Peer]);
    println!("### {title}\n");
    println!("| | ms per frame | frames/s | × bare session | × fastest peer | × reuse off |");
    println!("|---|---|---|---|---|---|");
    let mut off = None;
    for (Entry { name, role, .. }, &time) in rows() {
        if *role == Role::Off {
            off = Some(time);
        }
        let against_off = off.filter(|_| matches!(role, Role::Off | Role::Reuse));
        let [bare, peer, off] = [bare, peer.map(|(_, time)| time), against_off].map(|base| {
            base.map_or_else(String::new, |base| match base / time {
                ratio if ratio >= 100.0 => format!("{ratio:.0}"),
                ratio => format!("{ratio:.3}"),
            })
        });
        println!("| {name} | {time:.2} | {:.1} | {bare} | {peer} | {off} |", 1000.0 / time);
    }
    println!();
    if let Some((name, _)) = peer {
        println!("- fastest peer: {name}");
    }
    for Entry { name, workload, .. } in entries {
        if let Some(note) = workload.note() {
            println!("- {name}: {note}");
        }
    }
    println!();
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
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "Machine: {}, {} threads; load {} at the start",
        model.unwrap_or("unknown CPU"),
        threads(),
        load.split(' ').next().unwrap_or_default()
    )
}
