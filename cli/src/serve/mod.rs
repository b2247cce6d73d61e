//! `gst-upscale serve`: a page for a browser that enlarges films and pictures on this machine.
//!
//! A request passes `guard`, then one of `routes`. `jobs` runs the queue; each job is a child process
//! (`process`) that runs the command `upscale`. `store` keeps everything in the state folder.

mod edits;
mod error;
mod folders;
mod format;
mod guard;
mod job;
mod jobs;
mod listen;
mod page;
mod process;
mod progress;
mod queue;
mod routes;
mod settings;
mod stills;
mod store;
mod upload;
mod watermarks;

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use tokio::{net::TcpListener, sync::Semaphore};

pub use error::Error;
use folders::Folders;
use guard::Guard;
use jobs::Jobs;
use routes::Server;
use stills::Stills;
use store::Store;
use upload::{Limits, Pace};

use crate::arguments::Expected;

const EXAMPLES: &str = "\
Examples:
  gst-upscale serve
  gst-upscale serve --allow ~/Videos
  gst-upscale serve --listen 0.0.0.0:8642

The queue and its files are kept in the state directory. A job that was interrupted goes on after
the next start.";

/// Enlarge films and pictures on a page for a browser.
///
/// The page is for this machine only, unless --listen says otherwise. Other machines need the token that
/// is part of the printed address.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// Address and port to listen on. Port 0 selects a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8642")]
    listen: SocketAddr,
    /// Require the token on this machine as well.
    #[arg(long)]
    token: bool,
    /// A name by which other machines reach this one, which then need the token; can be repeated.
    /// Addresses need not be given.
    #[arg(long, value_name = "NAME", value_parser = host)]
    host: Vec<String>,
    /// Directory whose files the page may enlarge by their path; can be repeated.
    #[arg(long, value_name = "DIR")]
    allow: Vec<PathBuf>,
    /// Directory of the queue, the uploads and the results [default: gst-upscale/serve in the user's data
    /// directory].
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// The largest upload, for example 500M or 20G.
    #[arg(long, value_name = "BYTES", default_value = "20G", value_parser = bytes)]
    max_upload: u64,
    /// The longest time of an upload, in minutes.
    #[arg(long, value_name = "MINUTES", default_value_t = 240, value_parser = clap::value_parser!(u64).range(1..=10080))]
    max_upload_time: u64,
}

/// Uploads at the same time.
const MAX_UPLOADS: usize = 8;

/// The slowest upload, so that a client that sends next to nothing does not keep others out.
const PACE: Pace = Pace { bytes: 600_000, time: Duration::from_secs(60) };

/// How long the processes of an earlier server may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Parses a number of bytes, with the suffix K, M, G or T for powers of 1000.
fn bytes(text: &str) -> Result<u64, Expected> {
    let units = [('K', 1_000), ('M', 1_000_000), ('G', 1_000_000_000), ('T', 1_000_000_000_000)];
    let unit = units.iter().find_map(|(name, unit)| Some((text.strip_suffix(*name)?, *unit)));
    let (number, unit) = unit.unwrap_or((text, 1));
    let count = number.parse().ok().and_then(|number: u64| number.checked_mul(unit));
    count
        .filter(|count| *count > 0)
        .ok_or_else(|| Expected("bytes, for example 500M or 20G".into()))
}

/// Parses a name without a port.
fn host(text: &str) -> Result<String, Expected> {
    let is_part = |it: char| it.is_ascii_alphanumeric() || "-._".contains(it);
    let is_name = !text.is_empty() && text.chars().all(is_part);
    if is_name { Ok(text.into()) } else { Err(Expected("a host name without a port".into())) }
}

/// Serves the page until a signal arrives.
///
/// # Errors
/// See [`Error`].
pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let folder = match &arguments.state {
        Some(folder) => folder.clone(),
        None => dirs::data_dir().ok_or(Error::NoStateFolder)?.join("gst-upscale/serve"),
    };
    let folders = Folders::open(&arguments.allow)?;
    let store = Store::open(&folder, PATIENCE)?;
    // A name lets other machines in through a proxy.
    let is_local = arguments.listen.ip().is_loopback() && arguments.host.is_empty();
    let token = (arguments.token || !is_local).then(|| store.token()).transpose()?;
    let failed = |source| Error::Listen { address: arguments.listen, source };
    let listener = std::net::TcpListener::bind(arguments.listen).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let jobs = Jobs::open(store, folders)?;
    let server = Arc::new(Server {
        jobs: jobs.clone(),
        limits: Limits {
            bytes: arguments.max_upload,
            time: Duration::from_secs(arguments.max_upload_time * 60),
            pace: PACE,
        },
        stills: Stills::default(),
        uploads: Semaphore::new(MAX_UPLOADS),
    });
    // One thread: the children end with the thread that started them.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Error::Start)?.block_on(async {
        let listener = TcpListener::from_std(listener).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let guard = Guard::new(address.ip(), arguments.host.clone(), token.as_deref());
        let interrupted = listen::interrupted().map_err(Error::Start)?;
        say!("open {} in a browser", url(address, &arguments.host, token.as_deref()))?;
        tokio::spawn(jobs.run());
        tokio::select! {
            () = listen::serve(listener, routes::router(server), guard) => {}
            () = interrupted => {}
        }
        say!("stopped; unfinished jobs go on after the next start")?;
        Ok(ExitCode::SUCCESS)
    })
}

/// The address of the page.
fn url(address: SocketAddr, names: &[String], token: Option<&str>) -> String {
    let host = match (names.first(), address.ip()) {
        (Some(name), _) => format!("{name}:{}", address.port()),
        // Every address of this machine.
        (None, IpAddr::V4(ip)) if ip.is_unspecified() => format!("127.0.0.1:{}", address.port()),
        (None, IpAddr::V6(ip)) if ip.is_unspecified() => format!("[::1]:{}", address.port()),
        (None, _) => address.to_string(),
    };
    let token = token.map(|token| format!("?token={token}")).unwrap_or_default();
    format!("http://{host}/{token}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        let found = ["5", "2K", "500M", "20G", "1T"].map(|text| bytes(text).unwrap());
        assert_eq!(found, [5, 2_000, 500_000_000, 20_000_000_000, 1_000_000_000_000]);
        for text in ["", "G", "0", "-1", "1.5G", "2g", "99999999999T"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn host_names_have_no_port() {
        assert_eq!(host("studio.lan").unwrap(), "studio.lan");
        for text in ["", "studio.lan:443", "http://studio.lan", "user@studio.lan"] {
            assert!(host(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_printed_address_can_be_opened() {
        let address = |text: &str| text.parse().unwrap();
        assert_eq!(url(address("127.0.0.1:80"), &[], None), "http://127.0.0.1:80/");
        assert_eq!(url(address("0.0.0.0:99"), &[], Some("a")), "http://127.0.0.1:99/?token=a");
        let names = ["studio.lan".to_owned()];
        assert_eq!(url(address("[::]:99"), &names, None), "http://studio.lan:99/");
    }
}
