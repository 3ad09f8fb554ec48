//! Fan-out: frames to a thousand sockets for a second of the server's processor time, beside a bare loop and Centrifuge.

use std::path::Path;
use std::time::Duration;

use super::Run;
use super::bare;
use super::centrifuge;
use super::child::Server;
use super::figure::Figure;
use super::load::on_one_thread;
use super::peers::{self, CENTRIFUGE};
use super::room::{self, SOCKETS, Source, Stage, Traffic};

/// A room that is measured.
struct Room {
    name: &'static str,
    per_second: u32,
    /// How Centrifuge's server is set up for such a room: our own joins what is said within 20 ms, so may it.
    centrifuge: &'static [&'static str],
    beside_loop: Figure,
    beside_centrifuge: Figure,
}

impl Room {
    fn new(name: &'static str, per_second: u32, centrifuge: &'static [&'static str]) -> Self {
        let figure = |name, baseline_is| Figure::new(name, "deliveries/CPU-s", baseline_is);
        Self {
            name,
            per_second,
            centrifuge,
            beside_loop: figure(format!("fan-out/{name}"), "a bare loop writing frames of the same length"),
            beside_centrifuge: figure(
                format!("fan-out/{name}/centrifuge"),
                "Centrifuge with history and recovery, as many messages",
            ),
        }
    }

    fn figures(mut self, is_beside_centrifuge: bool) -> Vec<Figure> {
        if is_beside_centrifuge {
            return vec![self.beside_loop, self.beside_centrifuge];
        }
        self.beside_loop.not_beside(CENTRIFUGE);
        vec![self.beside_loop]
    }
}

/// The rooms, quiet and hot.
fn rooms() -> [Room; 2] {
    [Room::new("quiet", 50, &[]), Room::new("hot", 1_000, &["-write-delay", "20ms"])]
}

/// Sockets show signs of life every 20 s: windows with sockets hold one round of them, whenever they begin.
const WINDOW_MIN: Duration = Duration::from_secs(20);

/// One server's side of a round: ours or a peer's.
struct Measured {
    /// Messages with nobody listening: what the commands cost.
    commands: Traffic,
    /// Sockets without messages: what being there costs.
    idle: Traffic,
    /// Neither.
    alone: Traffic,
    /// Both.
    full: Traffic,
}

impl Measured {
    /// Processor seconds of the fan-out alone, over the time of `full`. A loaded server takes fewer messages with an
    /// audience than without: what commands cost is counted by the message.
    fn fan_out_cpu(&self) -> f64 {
        let rate = |traffic: &Traffic| traffic.cpu_seconds / traffic.seconds;
        let commands = self.command_cpu() * self.full.sent;
        self.full.cpu_seconds - commands - rate(&self.idle) * self.full.seconds
    }

    fn deliveries_per_cpu_second(&self) -> f64 {
        self.full.delivered / self.fan_out_cpu()
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
    let peer = run.peers.centrifuge.as_deref();
    let mut rooms = rooms();
    for round in 1..=run.rounds {
        for room in &mut rooms {
            let stage = run.stage(&real, SOCKETS).await?;
            let (per_second, length) = (room.per_second, run.length);
            let measured = on_one_thread(move || real_round(stage, per_second, length)).await?;
            let frame_bytes = measured.full.bytes / measured.full.delivered.max(1.0);
            let bare = bare_round(&loop_only, frame_bytes, per_second, length).await?;
            note(&mut room.beside_loop, &measured, bare, frame_bytes);
            run.say(&format!(
                "{} round {round}: {:.0} beside {:.0} deliveries/CPU-s",
                room.beside_loop.name,
                measured.deliveries_per_cpu_second(),
                bare.delivered / bare.cpu_seconds
            ));
            if let Some(program) = peer {
                let name = format!("centrifuge-{}-{round}", room.name);
                let beside = peer_round(run, program, &name, room.centrifuge, &measured.full).await?;
                note_peer(&mut room.beside_centrifuge, &measured, &beside);
                let per_cpu_second = beside.deliveries_per_cpu_second();
                run.say(&format!("{} round {round}: {per_cpu_second:.0}", room.beside_centrifuge.name));
            }
        }
    }
    real.stop().await?;
    loop_only.stop().await?;
    Ok(rooms.into_iter().flat_map(|room| room.figures(peer.is_some())).collect())
}

async fn real_round(stage: Stage, per_second: u32, length: Duration) -> anyhow::Result<Measured> {
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
    Ok(Measured { commands, idle, alone, full })
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

/// The same at Centrifuge: as many messages a second as our server took, for as long.
async fn peer_round(
    run: &Run<'_>,
    program: &Path,
    name: &str,
    arguments: &[&str],
    ours: &Traffic,
) -> anyhow::Result<Measured> {
    let server = peers::centrifuge(run, program, name, arguments).await?;
    let (address, process) = (server.address, server.process);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some hundreds")]
    let per_second = (ours.sent / ours.seconds).round().max(1.0) as u32;
    let (length, long) = (run.length, run.length.max(WINDOW_MIN));
    let measured = on_one_thread(move || async move {
        let alone = room::traffic(None, None, process, per_second, length).await?;
        let mut source = centrifuge::source(address).await?;
        let commands = room::traffic(Some(&mut source), None, process, per_second, length).await?;
        let audience = centrifuge::audience(address, process, SOCKETS).await?;
        let idle = room::traffic(None, None, process, per_second, long).await?;
        let full = room::traffic(Some(&mut source), Some(&audience), process, per_second, long).await?;
        Ok(Measured { commands, idle, alone, full })
    })
    .await?;
    server.stop().await?;
    Ok(measured)
}

fn note_peer(figure: &mut Figure, ours: &Measured, peer: &Measured) {
    let full = &peer.full;
    figure.round(ours.deliveries_per_cpu_second(), peer.deliveries_per_cpu_second());
    figure.note("baseline frame bytes a message", full.bytes / full.delivered.max(1.0));
    figure.note("baseline messages/s", full.sent / full.seconds);
    figure
        .note("baseline delivered, of what was due", full.delivered / (full.sent * SOCKETS as f64).max(1.0));
    figure.note("baseline server CPU us a publication", peer.command_cpu() * 1e6);
    figure.note("baseline cores: everything", full.cpu_seconds / full.seconds);
    figure.note("baseline cores: idle sockets alone", peer.idle.cpu_seconds / peer.idle.seconds);
    figure.note("ours with commands and idling", ours.full.delivered / ours.full.cpu_seconds);
    figure.note("baseline with publishing and idling", full.delivered / full.cpu_seconds);
}

fn note(figure: &mut Figure, real: &Measured, bare: Traffic, frame_bytes: f64) {
    let full = &real.full;
    let share = |traffic: &Traffic| traffic.delivered / (traffic.sent * SOCKETS as f64).max(1.0);
    let cpu_share = |traffic: &Traffic| traffic.cpu_seconds / traffic.seconds;
    figure.round(real.deliveries_per_cpu_second(), bare.delivered / bare.cpu_seconds);
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
