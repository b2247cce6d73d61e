//! Races and their tables.

use std::{env, fs, time::Duration};

use crate::contender::{Contender, threads};

/// Frames that nobody's time counts: the first ones wait for the model, measure costs, and show
/// which shape comes to stay.
pub const WARM_UP: usize = 8;

/// What a row is in the comparison.
#[derive(Clone, Copy, PartialEq)]
pub enum Role {
    /// The element with reuse off: what the reuse rows behind it are compared with.
    Off,
    /// The element with reuse.
    Reuse,
    /// ONNX Runtime as it comes, which all are compared with.
    Bare,
    /// What users would take instead: all are compared with the fastest of these, and `Bare`.
    Peer,
    /// Listed only.
    Beside,
}

pub struct Entry {
    pub name: String,
    pub role: Role,
    pub contender: Box<dyn Contender>,
}

/// How many frames a turn has, how many turns a race, and what is told of them.
#[derive(Clone, Copy)]
pub struct Rules {
    pub turns: usize,
    pub frames: usize,
    /// Whether each frame is as much work as the next: then the median turn counts, and noise
    /// is left out. Else it is the mean.
    pub alike: bool,
}

impl Rules {
    /// As many frames as a clip should have.
    pub fn all_frames(self) -> u32 {
        (WARM_UP + self.turns() * self.frames) as u32
    }

    /// `UPSCALE_BENCH_TURNS` bounds it, for a quick look.
    fn turns(self) -> usize {
        let bound = env::var("UPSCALE_BENCH_TURNS").ok().and_then(|text| text.parse().ok());
        self.turns.min(bound.unwrap_or(usize::MAX)).max(1)
    }
}

/// Lets all take the same frames, in turns, so that noise of the machine falls on all alike, and
/// prints a table.
pub fn race(title: &str, entries: &mut [Entry], rules: Rules) {
    let turns = rules.turns();
    let mut times = vec![Vec::with_capacity(turns); entries.len()];
    for entry in entries.iter_mut() {
        entry.contender.turn(WARM_UP);
    }
    for _ in 0..turns {
        for (entry, times) in entries.iter_mut().zip(&mut times) {
            times.push(entry.contender.turn(rules.frames));
        }
    }
    let times: Vec<f64> = times
        .iter_mut()
        .map(|times| {
            let took = if rules.alike { median(times) } else { mean(times) };
            took.as_secs_f64() * 1e3 / rules.frames as f64
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
    println!("| | ms a frame | frames a second | × bare session | × fastest peer | × reuse off |");
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
    for Entry { name, contender, .. } in entries {
        if let Some(remark) = contender.remark() {
            println!("- {name}: {remark}");
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

/// The processor, how many threads there are, and what else is going on.
pub fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "Machine: {}, {} threads; load {} at the start",
        model.unwrap_or("unknown processor"),
        threads(),
        load.split(' ').next().unwrap_or_default()
    )
}
