//! Rounds: every contender in turn, so that whatever disturbs the machine disturbs all of them.

use std::sync::Arc;
use std::time::Duration;

use crate::args::Args;
use crate::cases::{Case, Turn};
use crate::contender::{Contender, Result};
use crate::ground::Ground;
use crate::weigh;

/// How long a turn shall be.
const TURN: Duration = Duration::from_millis(150);

struct Entrant {
    lib: &'static str,
    contender: Arc<dyn Contender>,
    turns: Vec<Turn>,
}

/// Measures a case. `client` says whether this process is pinned.
pub(crate) async fn run(args: &Args, case: Case, ground: &mut dyn Ground, client: Result<&(), &String>) -> Result<()> {
    let mut entrants = Vec::new();
    for &lib in ground.place().libs(case) {
        if lib == "driver" || args.wants(lib) {
            let contender = ground.place().contender(case, lib).await?;
            entrants.push(Entrant { lib, contender, turns: Vec::new() });
        }
    }
    for wanted in args.libs() {
        if !entrants.iter().any(|entrant| entrant.lib == wanted) {
            println!("# {wanted} does not take part in {}", case.name());
        }
    }
    let ops = prepare(case, &entrants, ground).await?;
    match client {
        Err(why) => println!("# not pinned: {why}"),
        Ok(()) => match ground.pin().await {
            Ok(server) => println!("# pinned client=1 server={server}"),
            Err(why) => println!("# not pinned: {why}"),
        },
    }
    for round in 0..args.rounds {
        for n in 0..entrants.len() {
            let at = (round + n) % entrants.len();
            let Entrant { lib, contender, turns } = &mut entrants[at];
            turns.push(case.turn(contender, ground, ops).await.map_err(|error| format!("{lib}: {error}"))?);
        }
    }
    let yardstick: Vec<Duration> = entrants[0].turns.iter().map(|turn| turn.wall).collect();
    for Entrant { lib, turns, .. } in &entrants {
        let per_op = |took: fn(&Turn) -> Duration| {
            let took = median(turns.iter().map(|turn| took(turn).as_nanos()).collect());
            took / u128::from(ops.unsigned_abs())
        };
        let mut ratios: Vec<f64> =
            turns.iter().zip(&yardstick).map(|(turn, yard)| turn.wall.as_secs_f64() / yard.as_secs_f64()).collect();
        ratios.sort_by(f64::total_cmp);
        let peak = match case {
            Case::Stream => format!(" peak_bytes={}", weigh::in_process(args, lib, &ground.place().name())?),
            _ => String::new(),
        };
        println!(
            "bench case={} backend={} lib={lib} ns_per_op={} ratio={:.3} cpu_ns_per_op={} rounds={}{peak}",
            case.name(),
            args.backend.name(),
            per_op(|turn| turn.wall),
            ratios[ratios.len() / 2],
            per_op(|turn| turn.cpu),
            args.rounds,
        );
    }
    Ok(())
}

/// Checks what every contender does, opens all connections, and finds how many operations make a turn.
async fn prepare(case: Case, entrants: &[Entrant], ground: &mut dyn Ground) -> Result<i64> {
    let mut ops = 1;
    loop {
        let mut slowest = Duration::ZERO;
        for Entrant { lib, contender, .. } in entrants {
            let turn = case.turn(contender, ground, ops).await.map_err(|error| format!("{lib}: {error}"))?;
            if *lib == "driver" {
                slowest = turn.wall;
            }
        }
        if slowest >= TURN / 2 {
            let exact = TURN.as_secs_f64() / slowest.as_secs_f64();
            #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)] // a few thousand
            return Ok(((ops as f64 * exact) as i64).max(1));
        }
        ops *= 2;
    }
}

fn median(mut figures: Vec<u128>) -> u128 {
    figures.sort_unstable();
    figures[figures.len() / 2]
}
