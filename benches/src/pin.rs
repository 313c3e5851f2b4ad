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

/// Pins a process of the server.
pub(crate) fn server(pid: i32) -> Result<()> {
    let pid = Pid::from_raw(pid).ok_or("0 is no process")?;
    sched_setaffinity(Some(pid), &only(SERVER)).map_err(|error| format!("the server's processes stay: {error}").into())
}

fn only(core: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(core);
    set
}
