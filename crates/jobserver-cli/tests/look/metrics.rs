//! `serve --metrics`, fetched over TCP and read strictly.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use crate::build::{ask, output, until, Build, BOUND};
use crate::sandbox::{jobserver, Sandbox};
use crate::served::Served;

/// Where nobody else listens: no connection of this machine comes from there, so the port can't be taken by chance.
fn address(test: u8) -> SocketAddr {
    let [.., high, low] = std::process::id().to_be_bytes();
    SocketAddr::from(([127, 100 + test, high, low], 9464))
}

fn connect(address: SocketAddr) -> TcpStream {
    let connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(BOUND)).unwrap();
    connection
}

/// The status line, the other lines of the head, and the body.
fn request(address: SocketAddr, request: &str) -> (String, String, String) {
    let mut connection = connect(address);
    connection.write_all(request.as_bytes()).unwrap();
    let mut said = String::new();
    connection.read_to_string(&mut said).unwrap();
    let (head, body) = said.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{said:?}"));
    let (status, head) = head.split_once("\r\n").unwrap();
    (status.to_string(), head.to_string(), body.to_string())
}

/// Every sample, after a look at the form of each line.
fn samples(address: SocketAddr) -> BTreeMap<String, f64> {
    let (status, head, body) = request(address, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(head.contains("Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
    let body = body.strip_suffix("# EOF\n").unwrap_or_else(|| panic!("no end: {body}"));
    let (mut family, mut kind) = (String::new(), String::new());
    let mut samples = BTreeMap::new();
    for line in body.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "HELP", name, _] => family = name.to_string(),
            ["#", "TYPE", name, of] => {
                assert_eq!(name, family, "{line}");
                kind = of.to_string();
            }
            [sample, value] => {
                let name = sample.split('{').next().unwrap();
                let suffix = name.strip_prefix(&family).unwrap_or_else(|| panic!("{line} in {family}"));
                let allowed: &[&str] = match kind.as_str() {
                    "gauge" => &[""],
                    "counter" => &["_total"],
                    "histogram" => &["_bucket", "_sum", "_count"],
                    _ => panic!("{kind}"),
                };
                assert!(allowed.contains(&suffix), "{line} in a {kind}");
                assert!(samples.insert(sample.to_string(), value.parse().unwrap()).is_none(), "twice: {line}");
            }
            _ => panic!("{line:?}"),
        }
    }
    samples
}

#[test]
fn the_numbers_are_those_of_the_pool() {
    let sandbox = Sandbox::new();
    let address = address(0);
    let served = Served::new(&sandbox, &["-j4", "--metrics", &address.to_string()]);
    let build = Build::start(&served, &sandbox, "kernel", 8);
    build.until_running(4);
    served.until("all slots are in use", |status| status["held"] == 4);
    let samples = until("an answer that is no older", || {
        Some(samples(address)).filter(|samples| samples["jobserver_slots{state=\"held\"}"] == 4.0)
    });
    let slots = |state: &str| samples[&format!("jobserver_slots{{state=\"{state}\"}}")];
    assert_eq!((slots("capacity"), slots("in_force")), (4.0, 4.0), "{samples:?}");
    assert_eq!(slots("in_force") + slots("owed"), slots("free") + slots("offered") + slots("held"), "{samples:?}");
    assert_eq!(
        (samples["jobserver_leases{state=\"running\"}"], samples["jobserver_leases{state=\"waiting\"}"]),
        (1.0, 0.0)
    );
    assert_eq!((samples["jobserver_recovered_tokens_total"], samples["jobserver_strays_total"]), (0.0, 0.0));
    let bound = |name: &str| match name.strip_prefix("jobserver_waited_seconds_bucket{le=\"")?.strip_suffix("\"}")? {
        "+Inf" => Some(f64::INFINITY),
        bound => bound.parse().ok(),
    };
    let mut buckets: Vec<(f64, f64)> =
        samples.iter().filter_map(|(name, &count)| Some((bound(name)?, count))).collect();
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    assert!(buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{buckets:?}");
    assert_eq!(buckets.last().copied(), Some((f64::INFINITY, samples["jobserver_waited_seconds_count"])));
    build.finish();
    served.finish();
}

#[test]
fn other_paths_and_methods_and_nonsense_are_answered_by_errors() {
    let sandbox = Sandbox::new();
    let address = address(1);
    let served = Served::new(&sandbox, &["-j2", "--metrics", &address.to_string()]);
    for (line, said) in [
        ("GET / HTTP/1.1", "HTTP/1.1 404 Not Found"),
        ("GET /metrics/../x HTTP/1.1", "HTTP/1.1 404 Not Found"),
        ("GET /metrics?x=y HTTP/1.0", "HTTP/1.1 200 OK"),
        ("HEAD /metrics HTTP/1.1", "HTTP/1.1 200 OK"),
        ("POST /metrics HTTP/1.1", "HTTP/1.1 405 Method Not Allowed"),
        ("GET /metrics", "HTTP/1.1 400 Bad Request"),
        ("\u{16}\u{3}", "HTTP/1.1 400 Bad Request"),
        ("", "HTTP/1.1 400 Bad Request"),
    ] {
        let (status, _, body) = request(address, &format!("{line}\r\nHost: x\r\n\r\n"));
        assert_eq!(status, said, "{line}");
        assert_eq!(body.is_empty(), line.starts_with("HEAD"), "{line}: {body}");
    }
    served.finish();
}

#[test]
fn clients_that_say_nothing_or_too_much_harm_neither_the_pool_nor_others_for_long() {
    let sandbox = Sandbox::new();
    let address = address(2);
    let served = Served::new(&sandbox, &["-j2", "--metrics", &address.to_string()]);
    let pid = served.server.as_ref().unwrap().id();
    let descriptors = || std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let before = descriptors();
    let idle: Vec<TcpStream> = (0..40).map(|_| connect(address)).collect();
    let flood = std::thread::spawn(move || {
        let mut connection = connect(address);
        while connection.write_all(&[b'x'; 4096]).is_ok() {}
    });
    // The pool answers while they are there, and they take a bounded number of its descriptors.
    for _ in 0..50 {
        assert!(descriptors() <= before + 16, "{}", descriptors());
        ask(&sandbox, &served, &["status"]).is_clean();
    }
    flood.join().unwrap();
    drop(idle);
    samples(address);
    served.finish();
}

#[test]
fn a_port_that_is_taken_is_said_before_anything_is_done() {
    let sandbox = Sandbox::new();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap();
    // A port alone is one of 127.0.0.1.
    let port = address.port().to_string();
    let outcome = output(sandbox.command(jobserver()).args(["serve", "-j2", "--dir", "pool", "--metrics", &port]));
    assert_eq!(outcome.status, Some(125));
    assert!(outcome.line().contains(&format!("metrics can't be served at {address}: ")), "{outcome:?}");
    assert!(!sandbox.path("pool").exists());
}
