//! `serve`: a pool for all builds of a user or of the machine.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgAction, Args, ValueEnum};

use super::slots;

/// Serve a pool of job slots to all builds of a user, or of the machine.
///
/// Every `jobserver run` takes its slots from it, as long as it is there; one that ends gives back all it had, however it
/// ends. Root serves the machine's pool: each user sees and uses it, and nobody sees another's builds. Where there is a
/// group `jobserver`, only its members do.
///
/// It tells systemd when it is ready (Type=notify), and ends on TERM, INT and HUP.
#[derive(Debug, Args)]
#[command(after_long_help = LOG)]
pub(crate) struct Serve {
    /// How many jobs may run at once, of all builds together [default: one a processor]
    #[arg(short, long, value_name = "N", value_parser = slots)]
    pub(crate) jobs: Option<usize>,

    /// Where the pool is [default: $XDG_RUNTIME_DIR/jobserver; for root /run/jobserver]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,

    /// How the tools reach the pool: tracked, or fifo where FUSE can't be had
    #[arg(long, value_enum, default_value_t)]
    pub(crate) style: ServeStyle,

    /// Give out fewer slots while more processes than this run or are ready to run, in the pool or outside it [default: no
    /// limit]
    #[arg(long, value_name = "L", value_parser = load, help_heading = "Pressure")]
    pub(crate) max_load: Option<f64>,

    /// Give out fewer slots while less memory than this is available: bytes with K, M, G, or percent of all; `none` for no
    /// limit
    #[arg(long, value_name = "SIZE|%|none", default_value = "5%", help_heading = "Pressure")]
    pub(crate) min_memory: Memory,

    /// Answer at http://ADDR/metrics how the pool stands, for Prometheus: a port of this machine, or an address and a
    /// port, as 127.0.0.1:9464. Another address than loopback lets others see it
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub(crate) metrics: Option<SocketAddr>,

    /// Tell of builds that come and go, and of what was recovered; twice: of their clients too
    #[arg(short, long, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ServeStyle {
    /// Tracked, or fifo where that can't be had
    #[default]
    Auto,
    /// A named pipe for each process
    Tracked,
    /// A named pipe for each build
    Fifo,
}

/// Memory that is to be kept free.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Memory {
    None,
    Bytes(u64),
    /// Of all.
    Percent(f64),
}

impl FromStr for Memory {
    type Err = String;

    fn from_str(text: &str) -> Result<Memory, String> {
        let wrong = || format!("`{text}` is no size: give one as in 2G, 500M, 10% or none");
        if text == "none" {
            return Ok(Memory::None);
        }
        if let Some(percent) = text.strip_suffix('%') {
            let percent: f64 = percent.parse().map_err(|_| wrong())?;
            return if (0.0..=100.0).contains(&percent) { Ok(Memory::Percent(percent)) } else { Err(wrong()) };
        }
        let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let unit: u64 = match unit {
            "" => 1,
            "K" | "KiB" => 1 << 10,
            "M" | "MiB" => 1 << 20,
            "G" | "GiB" => 1 << 30,
            _ => return Err(wrong()),
        };
        let number: u64 = number.parse().map_err(|_| wrong())?;
        number.checked_mul(unit).map(Memory::Bytes).ok_or_else(wrong)
    }
}

fn load(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(load) if load > 0.0 && f64::is_finite(load) => Ok(load),
        _ => Err("it is no number of processes: give one as in --max-load 8".to_string()),
    }
}

/// Names are not looked up: who wants to be seen from elsewhere writes out as which address.
fn address(text: &str) -> Result<SocketAddr, String> {
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let port = text.strip_prefix("localhost:").or_else(|| text.strip_prefix(':')).unwrap_or(text);
    match (port.parse::<u16>(), text.parse::<SocketAddr>()) {
        (Ok(0), _) => Err("0 is no port that anybody could find: give one as in --metrics 9464".to_string()),
        (Ok(port), _) => Ok(SocketAddr::new(loopback, port)),
        (_, Ok(address)) => Ok(address),
        _ => Err("give a port, as 9464, or an address and a port, as 127.0.0.1:9464 or [::1]:9464".to_string()),
    }
}

const LOG: &str = "\
Without -v only what a person must know is written, to standard error. $JOBSERVER_LOG sets it as well: error, warn (the
default), info (as -v), debug (as -vv) or off.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bytes_a_part_or_nothing() {
        for (text, memory) in [
            ("none", Memory::None),
            ("0", Memory::Bytes(0)),
            ("500M", Memory::Bytes(500 << 20)),
            ("2GiB", Memory::Bytes(2 << 30)),
            ("7.5%", Memory::Percent(7.5)),
        ] {
            assert_eq!(text.parse(), Ok(memory), "{text}");
        }
        for wrong in ["", "%", "101%", "-1", "1T5", "nan%", "99999999999G", "M"] {
            assert!(wrong.parse::<Memory>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_load_is_a_number_above_nothing() {
        assert_eq!(load("2.5"), Ok(2.5));
        for wrong in ["0", "-1", "inf", "nan", "", "a"] {
            assert!(load(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_port_alone_is_one_of_this_machine_only() {
        for (text, said) in [
            ("9464", "127.0.0.1:9464"),
            (":9464", "127.0.0.1:9464"),
            ("localhost:9464", "127.0.0.1:9464"),
            ("127.0.0.1:9464", "127.0.0.1:9464"),
            ("0.0.0.0:9464", "0.0.0.0:9464"),
            ("[::1]:9464", "[::1]:9464"),
        ] {
            assert_eq!(address(text).map(|address| address.to_string()).as_deref(), Ok(said), "{text}");
        }
        for wrong in ["", "0", "65536", "example.org:9464", "127.0.0.1", "*:9464", "9464/metrics", "-1"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }
}
