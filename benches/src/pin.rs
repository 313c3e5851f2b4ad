//! Client and server on a core each: they would push each other aside otherwise, and differently every time.

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::contender::Result;

const CLIENT: usize = 1;
const SERVER: usize = 0;

/// Pins this thread, and with it all that it will start.
pub(crate) fn client() -> Result<()> {
    let allowed = sched_getaffinity(None)?;
    if !(allowed.is_set(CLIENT) && allowed.is_set(SERVER)) {
        return Err(format!("the cores {CLIENT} and {SERVER} are not both ours").into());
    }
    Ok(sched_setaffinity(None, &only(CLIENT))?)
}

/// What a process or a thread of the server was before it was pinned.
pub(crate) struct Pinned {
    pid: Pid,
    before: CpuSet,
}

impl Pinned {
    /// Lets it run where it ran before. It may be gone by now.
    pub(crate) fn free(self) {
        let _ = sched_setaffinity(Some(self.pid), &self.before);
    }
}

/// Pins a process or a thread of the server.
pub(crate) fn server(pid: i32) -> Result<Pinned> {
    let pid = Pid::from_raw(pid).ok_or("0 is no process")?;
    let before = sched_getaffinity(Some(pid))?;
    sched_setaffinity(Some(pid), &only(SERVER)).map_err(|error| format!("the server's processes stay: {error}"))?;
    Ok(Pinned { pid, before })
}

fn only(core: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(core);
    set
}
