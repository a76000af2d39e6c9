//! What gateways have to do: the engines' numbers in the words of the API, those of all workers added up.

use config::Alg;
use config::api;
use engine::Engine;
use engine::alg::{Counted, Open};
use wire::Time;

/// What one worker knows.
pub(super) struct Share {
    channels: Vec<(Alg, u32)>,
    pinholes: u32,
    open: Vec<api::Pinhole>,
    counted: Counted,
}

impl Share {
    pub(super) fn of(engine: &Engine, now: Time) -> Self {
        let open = engine.open_pinholes(api::PINHOLES).into_iter();
        Self {
            channels: engine.alg_channels(),
            pinholes: engine.alg_now().1,
            open: open.map(|open| pinhole(engine, &open, now)).collect(),
            counted: *engine.alg_counters(),
        }
    }
}

fn pinhole(engine: &Engine, open: &Open, now: Time) -> api::Pinhole {
    let remaining = open.until.since(now).as_millis();
    api::Pinhole {
        alg: open.alg.name().to_owned(),
        session: engine.session_id(open.parent).to_string(),
        protocol: open.protocol.0,
        source: open.from,
        destination: open.to.0,
        destination_port: open.to.1,
        inside: open.inside.0,
        inside_port: open.inside.1,
        uses: open.uses,
        remaining_milliseconds: u64::try_from(remaining).unwrap_or(u64::MAX),
    }
}

/// All workers together.
pub(super) fn sum(shares: Vec<Share>) -> api::Algs {
    let mut all = api::Algs::default();
    for Share { channels, pinholes, open, counted } in shares {
        for (alg, count) in channels {
            let known = all.channels.iter().position(|it| it.alg == alg.name());
            let at = known.unwrap_or_else(|| {
                all.channels.push(api::AlgChannels { alg: alg.name().to_owned(), channels: 0 });
                all.channels.len() - 1
            });
            all.channels[at].channels += u64::from(count);
        }
        all.pinholes += u64::from(pinholes);
        all.open.extend(open);
        add(&mut all.counters, &counted);
    }
    all.channels.sort_by(|a, b| a.alg.cmp(&b.alg));
    all.open.sort_by_key(|pinhole| pinhole.remaining_milliseconds);
    all.open.truncate(api::PINHOLES);
    all
}

fn add(sum: &mut api::AlgCounters, counted: &Counted) {
    sum.channels += counted.channels;
    sum.unread += counted.unread;
    sum.opened += counted.opened;
    sum.used += counted.used;
    sum.expired += counted.expired;
    sum.third_party += counted.third_party;
    sum.low_port += counted.low_port;
    sum.no_room += counted.no_room;
    sum.families += counted.families;
    sum.malformed += counted.malformed;
    sum.too_long += counted.too_long;
    sum.foreign += counted.foreign;
}
