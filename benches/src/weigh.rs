//! The memory that a stream takes, in a process that does nothing else.

use std::fs;
use std::process::Command;
use std::sync::Arc;

use crate::args::{Args, Weigh};
use crate::cases::{Case, same};
use crate::contender::Result;
use crate::ground::{self, ENTRIES, person};
use crate::sum::Tally;

/// Rows between two looks at the scale.
const ROWS: u64 = 50;

/// Looks now and then how much memory the process holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    before: u64,
    peak: u64,
}

impl Scale {
    fn new() -> Result<Self> {
        let before = held()?;
        Ok(Scale { before, peak: before })
    }

    pub(crate) fn row(&mut self, number: u64) {
        if number.is_multiple_of(ROWS) {
            self.peak = self.peak.max(held().unwrap_or(u64::MAX));
        }
    }
}

/// Memory of the process that no file backs: heaps, stacks, and the C libraries' as well as ours.
fn held() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).ok_or("there is no RssAnon")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}

/// Starts this program again, where one contender streams once, and returns its peak.
pub(crate) fn in_process(args: &Args, lib: &str, place: &str) -> Result<u64> {
    let run = Command::new(std::env::current_exe()?)
        .args(["--backend", args.backend.name(), "--url", &args.url, "--weigh", lib, "--place", place])
        .output()?;
    if !run.status.success() {
        return Err(format!("{lib} was not weighed: {}", String::from_utf8_lossy(&run.stderr)).into());
    }
    Ok(String::from_utf8(run.stdout)?.trim().parse()?)
}

/// The other side of [`in_process`].
pub(crate) async fn run(args: &Args, weigh: &Weigh) -> Result<()> {
    let contender = ground::place(args.backend, &args.url, &weigh.place)?.contender(Case::Stream, &weigh.lib).await?;
    // Not at the stream's expense: the connection, and what everybody allocates once.
    contender.get_by_pk(vec![1]).await?;
    let tally = Tally::weighed(Scale::new()?);
    let tally = tokio::spawn({
        let contender = Arc::clone(&contender);
        async move { contender.stream(tally).await }
    })
    .await??;
    same(&tally, &entries())?;
    let scale = tally.scale().ok_or("the scale is gone")?;
    println!("{}", scale.peak - scale.before);
    Ok(())
}

/// What the stream must give.
pub(crate) fn entries() -> Tally {
    let mut tally = Tally::default();
    for entry in (1..=ENTRIES).map(person) {
        tally.add(entry.id, &entry.name, entry.hair_color.as_deref());
    }
    tally
}
