//! `serve --metrics`: how the pool stands, for Prometheus and others who read OpenMetrics over HTTP.
//!
//! It knows the pool as every other client does, by its socket, and asks it once a second at most. Whoever connects may
//! be slow or hostile, and the pool lives in the same process: so a fixed number of threads serve one connection each,
//! for a bounded time and a bounded number of bytes, and all others wait in the kernel. (An HTTP server that starts a
//! thread for each connection and has no time limits would let any local user take all descriptors of the pool.)
//!
//! One path, `GET` and `HEAD` only; a connection is closed after its answer. No label has more values than are written
//! here: names of builds would be new series for ever.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use jobserver_pool::control::Status;
use jobserver_pool::lease;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

/// So many connections are served at once.
const THREADS: usize = 8;
/// A request has to be here, and its answer taken, within this.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of a request. Prometheus sends some hundred.
const REQUEST_MOST: usize = 8192;
/// How old an answer may be.
const FRESH: Duration = Duration::from_secs(1);

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// Takes the address, before there is a pool.
///
/// # Errors
///
/// It is in use, or not this machine's.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).map_err(|error| {
        let text = format!("metrics can't be served at {address}: {error}: name another address with --metrics");
        io::Error::new(error.kind(), text)
    })
}

/// Answers from now on, until the process ends.
///
/// # Errors
///
/// No thread can be had.
pub(crate) fn serve(listener: TcpListener, directory: &Path) -> io::Result<()> {
    let shared = Arc::new((listener, Pool { directory: directory.to_path_buf(), latest: Mutex::default() }));
    for _ in 0..THREADS {
        let shared = Arc::clone(&shared);
        thread::Builder::new().name("metrics".to_string()).spawn(move || loop {
            match shared.0.accept() {
                // One who hangs up early is no trouble of ours.
                Ok((connection, _)) => drop(answer(connection, &shared.1)),
                // No descriptor left: others give some back.
                Err(_) => thread::park_timeout(FRESH),
            }
        })?;
    }
    Ok(())
}

struct Pool {
    directory: PathBuf,
    latest: Mutex<Option<(Instant, Status)>>,
}

impl Pool {
    fn text(&self) -> io::Result<String> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.as_ref().is_none_or(|(at, _)| at.elapsed() >= FRESH) {
            *latest = Some((Instant::now(), lease::status(&self.directory)?));
        }
        let status = latest.as_ref().map(|(_, status)| status.clone());
        drop(latest);
        status.map_or_else(|| Err(io::Error::other("no status")), |status| text_of(status).map_err(io::Error::other))
    }
}

fn answer(mut connection: TcpStream, pool: &Pool) -> io::Result<()> {
    let until = Instant::now() + PATIENCE;
    let head = read_head(&mut connection, until)?;
    let line = head.split(|&byte| byte == b'\r' || byte == b'\n').next().unwrap_or_default();
    let mut words = std::str::from_utf8(line).unwrap_or_default().split(' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    let path = target.map(|target| target.split('?').next().unwrap_or_default());
    let is_http = version.is_some_and(|version| version.starts_with("HTTP/1.")) && words.next().is_none();
    let (status, kind, body) = match (method, path) {
        _ if !is_http => ("400 Bad Request", TEXT, "this is no request of HTTP/1\n".to_string()),
        (Some("GET" | "HEAD"), Some("/metrics")) => match pool.text() {
            Ok(text) => ("200 OK", OPEN_METRICS, text),
            Err(error) => ("503 Service Unavailable", TEXT, format!("{error}\n")),
        },
        (Some("GET" | "HEAD"), _) => ("404 Not Found", TEXT, "only /metrics is here\n".to_string()),
        _ => ("405 Method Not Allowed", TEXT, "only GET and HEAD\n".to_string()),
    };
    let mut text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    if method != Some("HEAD") {
        text += &body;
    }
    // All of it fits into what the kernel keeps for a connection, so one bound is enough.
    connection.set_write_timeout(Some(PATIENCE))?;
    connection.write_all(text.as_bytes())
}

/// Up to the empty line that ends it.
fn read_head(connection: &mut TcpStream, until: Instant) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        // No read may take longer than what is left for all of them.
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || head.len() > REQUEST_MOST {
            return Err(io::ErrorKind::TimedOut.into());
        }
        connection.set_read_timeout(Some(left))?;
        match connection.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => head.extend_from_slice(&buffer[..count]),
        }
    }
    Ok(head)
}

fn text_of(status: Status) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::with_prefix("jobserver");
    registry.register_collector(Box::new(Snapshot(status)));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Snapshot(Status);

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Snapshot(status) = self;
        let about = "Job slots: capacity is what was set, in_force what may be used now, held what is in use; \
                     in_force + owed = free + offered + held";
        let mut slots = encoder.encode_descriptor("slots", about, None, MetricType::Gauge)?;
        for (state, count) in [
            ("capacity", status.capacity),
            ("in_force", status.in_force),
            ("free", status.free),
            ("offered", status.offered),
            ("held", status.held),
            ("owed", status.owed),
        ] {
            gauge(&mut slots, state, count)?;
        }
        let mut leases = encoder.encode_descriptor("leases", "Builds in the pool", None, MetricType::Gauge)?;
        for state in ["running", "waiting", "ended"] {
            let count = status.leases.iter().filter(|lease| lease.state == state).count();
            gauge(&mut leases, state, u32::try_from(count).unwrap_or(u32::MAX))?;
        }
        let about = "Builds that wait for a first slot, and processes that seem to wait for one more";
        let mut waiting = encoder.encode_descriptor("waiting", about, None, MetricType::Gauge)?;
        waiting.encode_gauge(&i64::from(status.waiting))?;
        let about = "How long it took to get a slot, estimated for all but first ones";
        let mut waits = encoder.encode_descriptor("waited_seconds", about, None, MetricType::Histogram)?;
        let bounds = status.waits.bounds.iter().copied().chain([f64::INFINITY]);
        let counts = status.waits.counts.iter().copied().chain(std::iter::repeat(0));
        let classes: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let count = classes.iter().map(|class| class.1).sum();
        waits.encode_histogram::<[(&str, &str); 0]>(status.waits.sum, count, &classes, None)?;
        let about = "Slots that came back from processes that ended without returning them";
        counter(&mut encoder, "recovered_tokens", about, status.recovered)?;
        counter(&mut encoder, "strays", "Bytes that were returned and that nobody had taken", status.strays)
    }
}

fn gauge(family: &mut MetricEncoder<'_>, state: &str, count: u32) -> Result<(), std::fmt::Error> {
    family.encode_family(&[("state", state)])?.encode_gauge(&i64::from(count))
}

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, about: &str, count: u64) -> Result<(), std::fmt::Error> {
    let mut family = encoder.encode_descriptor(name, about, None, MetricType::Counter)?;
    family.encode_counter::<[(&str, &str); 0], _, u64>(&count, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_text_has_every_number_once_and_ends_as_open_metrics_does() {
        let lease = json!({"name": "a", "pid": 1, "uid": 0, "command": "", "since": 0.0, "state": "running", "floor": 1, "cap": null, "weight": 1,
            "held": 4, "offered": 0, "endpoints": []});
        let status = json!({"version": 1, "style": "tracked", "capacity": 6, "in_force": 5, "free": 1, "offered": 1, "held": 4, "owed": 0,
            "recovered": 3, "strays": 2, "waiting": 7, "waits": {"bounds": [0.1, 1.0], "counts": [5, 2, 1], "sum": 9.5}, "leases": [lease]});
        let text = text_of(serde_json::from_value(status).unwrap()).unwrap();
        for line in [
            "jobserver_slots{state=\"capacity\"} 6",
            "jobserver_slots{state=\"in_force\"} 5",
            "jobserver_slots{state=\"held\"} 4",
            "jobserver_leases{state=\"running\"} 1",
            "jobserver_leases{state=\"waiting\"} 0",
            "jobserver_waiting 7",
            "jobserver_waited_seconds_bucket{le=\"0.1\"} 5",
            "jobserver_waited_seconds_bucket{le=\"1.0\"} 7",
            "jobserver_waited_seconds_bucket{le=\"+Inf\"} 8",
            "jobserver_waited_seconds_sum 9.5",
            "jobserver_waited_seconds_count 8",
            "jobserver_recovered_tokens_total 3",
            "jobserver_strays_total 2",
        ] {
            assert_eq!(text.lines().filter(|&said| said == line).count(), 1, "{line}\n{text}");
        }
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
