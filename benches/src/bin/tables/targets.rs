//! The figures the project has set itself, beside the measured ones.

use meshgate_benches::Table;

use crate::report::{Markdown, size};
use crate::{Results, measure};

/// A figure that must not be above a limit.
struct Target {
    what: String,
    limit: f64,
    measured: Option<f64>,
    unit: &'static str,
}

/// A table of the targets.
pub(crate) fn targets(results: &Results) -> String {
    let mut table = Markdown::new(&["what", "target", "measured", "holds"]);
    for target in all(results) {
        let figure = |value: f64| {
            let number = if value < 10.0 && value.fract() != 0.0 {
                format!("{value:.2}")
            } else {
                size(value.round() as usize)
            };
            format!("{number} {}", target.unit).trim_end().to_owned()
        };
        let holds = match target.measured {
            Some(measured) if measured <= target.limit => "yes",
            Some(_) => "**no**",
            None => "not measured",
        };
        table.row([
            target.what,
            figure(target.limit),
            target.measured.map_or("—".to_owned(), figure),
            holds.to_owned(),
        ]);
    }
    table.text()
}

fn all(results: &Results) -> Vec<Target> {
    let target = |what: String, limit, measured, unit| Target {
        what,
        limit,
        measured,
        unit,
    };
    let of = |table, routes| results.of(table, routes);
    let mut targets = Vec::new();
    for (place, limits) in [
        ("native", [90.0, 140.0, 220.0]),
        ("in wasm", [130.0, 190.0, 360.0]),
    ] {
        for (routes, limit) in [1_000, 100_000, 1_000_000].into_iter().zip(limits) {
            let measured = of(Table::Rest, routes).map(|row| match place {
                "native" => row.native.nanoseconds,
                _ => row.in_wasm,
            });
            let what = format!("decide, {} REST routes, {place}", size(routes));
            targets.push(target(what, limit, measured, "ns"));
        }
    }
    let instructions = |routes| of(Table::Rest, routes)?.native.counts?.instructions;
    let growth = instructions(1_000_000)
        .zip(instructions(1_000))
        .map(|(large, small)| large / small);
    targets.push(target(
        "instructions at 1,000,000 REST routes over those at 1,000".to_owned(),
        1.5,
        growth,
        "",
    ));
    for (kind, limit, what) in [
        (Table::OneHeader, 90.0, "one exact header"),
        (Table::TwoHeaders, 130.0, "two exact headers"),
    ] {
        targets.push(target(
            format!("decide, 100,000 routes on `/` with {what}, native"),
            limit,
            of(kind, 100_000).map(|row| row.native.nanoseconds),
            "ns",
        ));
    }
    let allocations = results.meshgate.iter().filter_map(|row| row.native.counts);
    targets.push(target(
        "allocations in decide, every table and size".to_owned(),
        0.0,
        allocations
            .map(|counts| counts.allocations)
            .reduce(f64::max),
        "",
    ));
    for (kind, limit) in [(Table::Rest, 30.0), (Table::OneHeader, 60.0)] {
        targets.push(target(
            format!("program bytes per route, {}, 100,000 routes", kind.name()),
            limit,
            of(kind, 100_000).map(|row| row.bytes as f64 / row.routes as f64),
            "",
        ));
    }
    for (routes, limit) in [(10_000, 30.0), (100_000, 300.0), (1_000_000, 4_000.0)] {
        targets.push(target(
            format!("compile {} REST routes from memory", size(routes)),
            limit,
            of(Table::Rest, routes).map(|row| row.compile.as_secs_f64() * 1e3),
            "ms",
        ));
    }
    let measure::FromYaml {
        routes, compile, ..
    } = results.from_yaml;
    targets.push(target(
        format!("compile {} routes from YAML", size(routes)),
        4_000.0,
        Some(compile.as_secs_f64() * 1e3),
        "ms",
    ));
    let large = results.meshgate.iter().filter(|row| row.routes >= 100_000);
    let loads = large.map(|row| row.load_in_wasm.as_secs_f64() * 1e9 / row.bytes as f64);
    targets.push(target(
        "load and verify in wasm, the slowest table of 100,000 routes and more".to_owned(),
        1.0,
        loads.reduce(f64::max),
        "ms per MB",
    ));
    targets
}
