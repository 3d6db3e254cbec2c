//! How much memory is available, once a minute: a polling sensor in Rust.

use std::fs;

use petrel_sdk::{Fail, PollingSensor, SensorService, run_polling};
use serde_json::json;

const MEMINFO: &str = "/proc/meminfo";

struct Memory;

impl PollingSensor for Memory {
    fn poll(&mut self, service: &SensorService) -> Result<(), Fail> {
        let text =
            fs::read_to_string(MEMINFO).map_err(|e| Fail::transient(format!("{MEMINFO}: {e}")))?;
        let (available, total) = (mib(&text, "MemAvailable:"), mib(&text, "MemTotal:"));
        let (Some(available), Some(total)) = (available, total) else {
            return Err(Fail::bug(format!("{MEMINFO} looks different here")));
        };
        let payload = json!({"available": available, "total": total});
        service.dispatch("examples.memory", payload)?;
        service.status(&format!("{available} of {total} MiB available"))?;
        Ok(())
    }
}

/// A line of meminfo, given in KiB.
fn mib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib / 1024)
}

fn main() {
    run_polling(|_| Ok(Memory))
}
