//! Fan-out: frames to a thousand sockets for a second of the server's processor time, beside a bare loop.

use std::time::Duration;

use super::Run;
use super::bare;
use super::child::Server;
use super::figure::Figure;
use super::load::on_one_thread;
use super::room::{self, SOCKETS, Source, Stage, Traffic};

/// Rooms by their messages a second.
const ROOMS: [(&str, u32); 2] = [("quiet", 50), ("hot", 1_000)];

/// Sockets show signs of life every 20 s: windows with sockets hold one round of them, whenever they begin.
const WINDOW_MIN: Duration = Duration::from_secs(20);

/// The real server's side of a round.
struct Real {
    /// Messages with nobody listening: what the commands cost.
    commands: Traffic,
    /// Sockets without messages: what being there costs.
    idle: Traffic,
    /// Neither.
    alone: Traffic,
    /// Both.
    full: Traffic,
}

impl Real {
    /// Processor seconds of the fan-out alone, over the time of `full`. A loaded server takes fewer messages with an
    /// audience than without: what commands cost is counted by the message.
    fn fan_out_cpu(&self) -> f64 {
        let rate = |traffic: &Traffic| traffic.cpu_seconds / traffic.seconds;
        let commands = self.command_cpu() * self.full.sent;
        self.full.cpu_seconds - commands - rate(&self.idle) * self.full.seconds
    }

    /// Processor seconds of one command that nobody hears.
    fn command_cpu(&self) -> f64 {
        let idling = self.alone.cpu_seconds / self.alone.seconds * self.commands.seconds;
        (self.commands.cpu_seconds - idling) / self.commands.sent.max(1.0)
    }
}

/// Measures the quiet and the hot room.
pub(super) async fn measure(run: &Run<'_>) -> anyhow::Result<Vec<Figure>> {
    let real = run.tally("fan-out").await?;
    let loop_only = run.bare("bare-fan-out").await?;
    let baseline_is = "a bare loop writing frames of the same length";
    let mut figures: Vec<Figure> =
        ROOMS.map(|(name, _)| Figure::new(format!("fan-out/{name}"), "deliveries/CPU-s", baseline_is)).into();
    for round in 0..run.rounds {
        for (figure, (_, per_second)) in figures.iter_mut().zip(ROOMS) {
            let stage = run.stage(&real, SOCKETS).await?;
            let length = run.length;
            let measured = on_one_thread(move || real_round(stage, per_second, length)).await?;
            let frame_bytes = measured.full.bytes / measured.full.delivered.max(1.0);
            let bare = bare_round(&loop_only, frame_bytes, per_second, length).await?;
            note(figure, &measured, bare, frame_bytes);
            run.say(&format!(
                "{} round {}: {:.0} beside {:.0} deliveries/CPU-s",
                figure.name,
                round + 1,
                measured.full.delivered / measured.fan_out_cpu(),
                bare.delivered / bare.cpu_seconds
            ));
        }
    }
    real.stop().await?;
    loop_only.stop().await?;
    Ok(figures)
}

async fn real_round(stage: Stage, per_second: u32, length: Duration) -> anyhow::Result<Real> {
    let process = stage.process;
    let alone = room::traffic(None, None, process, per_second, length).await?;
    let mut source = Source::real(&stage).await?;
    let commands = room::traffic(Some(&mut source), None, process, per_second, length).await?;
    let audience = room::real_audience(&stage).await?;
    let length = length.max(WINDOW_MIN);
    let idle = room::traffic(None, None, process, per_second, length).await?;
    // the server has closed connections that said nothing meanwhile
    source = Source::real(&stage).await?;
    let full = room::traffic(Some(&mut source), Some(&audience), process, per_second, length).await?;
    Ok(Real { commands, idle, alone, full })
}

async fn bare_round(
    server: &Server,
    frame_bytes: f64,
    per_second: u32,
    length: Duration,
) -> anyhow::Result<Traffic> {
    let (address, process) = (server.address, server.process);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a frame's length")]
    let frame_bytes = frame_bytes.round() as u16;
    on_one_thread(move || async move {
        let audience = room::bare_audience(address).await?;
        let mut source = Source::bare(address, frame_bytes).await?;
        room::traffic(Some(&mut source), Some(&audience), process, per_second, length).await
    })
    .await
}

fn note(figure: &mut Figure, real: &Real, bare: Traffic, frame_bytes: f64) {
    let full = &real.full;
    let share = |traffic: &Traffic| traffic.delivered / (traffic.sent * SOCKETS as f64).max(1.0);
    let cpu_share = |traffic: &Traffic| traffic.cpu_seconds / traffic.seconds;
    figure.round(full.delivered / real.fan_out_cpu(), bare.delivered / bare.cpu_seconds);
    figure.note("frame bytes", frame_bytes);
    figure.note("messages/s", full.sent / full.seconds);
    figure.note("deliveries/s", full.delivered / full.seconds);
    figure.note("delivered in the time, of what was due", share(full));
    figure.note("baseline delivered, of what was due", share(&bare));
    figure.note("server CPU us a command", real.command_cpu() * 1e6);
    figure.note("messages/s without an audience", real.commands.sent / real.commands.seconds);
    figure.note("deliveries/CPU-s with commands and idling", full.delivered / full.cpu_seconds);
    figure.note("server cores: everything", cpu_share(full));
    figure.note("server cores: commands alone", cpu_share(&real.commands));
    figure.note("server cores: idle sockets alone", cpu_share(&real.idle));
    figure.note("server cores: nothing", cpu_share(&real.alone));
    figure.note("baseline cores", cpu_share(&bare));
}

/// The hidden server.
pub(super) use bare::run as serve_bare;
