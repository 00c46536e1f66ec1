//! The chart: CPU time per request by number of routes, both logarithmic, with a panel for each kind of table.

use std::fmt::Write;

use meshgate_benches::Table;

use crate::configuration::Router;
use crate::load::Protocol;
use crate::plan::Plan;
use crate::report::grouped;
use crate::routing::{Cell, Target, find};
use crate::statistics::{maximum, minimum};

const WIDTH: f64 = 960.0;
const COLUMNS: usize = 2;
const TOP: f64 = 84.0;
const PANEL_HEIGHT: f64 = 300.0;
/// Room in a panel for what stands around its plot.
const LEFT: f64 = 72.0;
const RIGHT: f64 = 36.0;
const ABOVE: f64 = 26.0;
const BELOW: f64 = 48.0;

/// Colours that can be told apart on light and dark, and by people who see few of them.
const STYLE: &str = "\
text { font: 13px system-ui, sans-serif; fill: #6e7781 }\n\
.title { font-size: 16px; font-weight: 600 }\n\
.panel { font-weight: 600 }\n\
.grid { stroke: #8b949e; stroke-opacity: 0.3; stroke-width: 1 }\n\
path, .key { fill: none; stroke-width: 2; stroke-linejoin: round }\n\
@media (prefers-color-scheme: dark) { text { fill: #adbac7 } }\n";

/// A line in every panel.
struct Series {
    name: &'static str,
    router: Router,
    target: Target,
    color: &'static str,
    width: f64,
    dashes: &'static str,
}

const SERIES: [Series; 5] = [
    Series {
        name: "no filter",
        router: Router::CatchAll,
        target: Target::Spread,
        color: "#8b949e",
        width: 2.0,
        dashes: "2 4",
    },
    Series {
        name: "route list",
        router: Router::List,
        target: Target::Spread,
        color: "#3d8bd4",
        width: 2.0,
        dashes: "none",
    },
    Series {
        name: "route list, last route",
        router: Router::List,
        target: Target::Last,
        color: "#3d8bd4",
        width: 2.0,
        dashes: "7 4",
    },
    Series {
        name: "matcher tree",
        router: Router::MatcherTree,
        target: Target::Spread,
        color: "#2da06b",
        width: 2.0,
        dashes: "none",
    },
    // Last, so that it is on top.
    Series {
        name: "meshgate",
        router: Router::Meshgate,
        target: Target::Spread,
        color: "#e8590c",
        width: 3.5,
        dashes: "none",
    },
];

/// A logarithmic axis: whole decades, from one place of the picture to another.
#[derive(Clone, Copy, Debug)]
struct Axis {
    first: i32,
    last: i32,
    from: f64,
    to: f64,
}

impl Axis {
    /// The decades that hold these numbers; at least one.
    fn around(numbers: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Axis {
        let logarithm = |number: f64| number.max(f64::MIN_POSITIVE).log10();
        let first = logarithm(minimum(numbers.clone())).floor() as i32;
        let last = logarithm(maximum(numbers)).ceil() as i32;
        Axis {
            first,
            last: last.max(first + 1),
            from,
            to,
        }
    }

    fn at(self, number: f64) -> f64 {
        let share = (number.log10() - f64::from(self.first)) / f64::from(self.last - self.first);
        self.from + share * (self.to - self.from)
    }

    fn decades(self) -> impl Iterator<Item = f64> {
        (self.first..=self.last).map(|decade| 10_f64.powi(decade))
    }
}

/// Draws the chart as an SVG document.
pub(crate) fn draw(plan: &Plan, cells: &[Cell]) -> String {
    let rows = plan.tables.len().div_ceil(COLUMNS);
    let height = TOP + rows as f64 * PANEL_HEIGHT;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\" aria-label=\"µs of worker CPU per request by number of routes\">\n<style>\n{STYLE}</style>\n"
    );
    text(
        &mut svg,
        LEFT,
        24.0,
        "title",
        "start",
        "µs of worker CPU per request in Envoy, by number of routes",
    );
    legend(&mut svg);
    for (index, &table) in plan.tables.iter().enumerate() {
        let left = (index % COLUMNS) as f64 * WIDTH / COLUMNS as f64;
        let top = TOP + (index / COLUMNS) as f64 * PANEL_HEIGHT;
        panel(&mut svg, plan, cells, table, (left, top));
    }
    svg.push_str("</svg>\n");
    svg
}

fn legend(svg: &mut String) {
    let mut x = LEFT;
    for series in SERIES.iter().rev() {
        let y = 52.0;
        line(svg, (x, y), (x + 28.0, y), series);
        text(svg, x + 34.0, y + 4.5, "", "start", series.name);
        x += 62.0 + 7.2 * series.name.len() as f64;
    }
}

fn panel(svg: &mut String, plan: &Plan, cells: &[Cell], table: Table, (left, top): (f64, f64)) {
    let (x0, x1) = (left + LEFT, left + WIDTH / COLUMNS as f64 - RIGHT);
    let (y0, y1) = (top + PANEL_HEIGHT - BELOW, top + ABOVE);
    let sizes = plan.sizes.iter().map(|&size| size as f64);
    let x = Axis::around(sizes, x0, x1);
    // The same for all panels, so that they can be compared.
    let y = Axis::around(cells.iter().map(Cell::least_micros), y0, y1);
    text(svg, x0, top + 16.0, "panel", "start", table.name());
    for decade in x.decades() {
        grid(svg, (x.at(decade), y0), (x.at(decade), y1));
        text(
            svg,
            x.at(decade),
            y0 + 17.0,
            "",
            "middle",
            &grouped(decade as usize),
        );
    }
    for decade in y.decades() {
        grid(svg, (x0, y.at(decade)), (x1, y.at(decade)));
        text(
            svg,
            x0 - 8.0,
            y.at(decade) + 4.5,
            "",
            "end",
            &grouped(decade as usize),
        );
    }
    text(
        svg,
        f64::midpoint(x0, x1),
        y0 + 36.0,
        "",
        "middle",
        "routes",
    );
    text(svg, x0 - 8.0, top + 16.0, "", "end", "µs");
    for series in &SERIES {
        let points: Vec<(f64, f64)> = plan
            .sizes
            .iter()
            .filter_map(|&size| {
                let (router, target) = (series.router, series.target);
                let cell = find(cells, Protocol::Http2, table, router, size, target)?;
                Some((x.at(size as f64), y.at(cell.least_micros())))
            })
            .collect();
        curve(svg, &points, series);
    }
}

// Writing to a string does not fail, so these drop the results.

fn text(svg: &mut String, x: f64, y: f64, class: &str, anchor: &str, text: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\" text-anchor=\"{anchor}\">{text}</text>"
    );
}

fn grid(svg: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    let _ = writeln!(
        svg,
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" class=\"grid\"/>"
    );
}

fn line(svg: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64), series: &Series) {
    let _ = writeln!(
        svg,
        "<path d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\" stroke=\"{}\" style=\"stroke-width:{};stroke-dasharray:{}\"/>",
        series.color, series.width, series.dashes
    );
}

fn curve(svg: &mut String, points: &[(f64, f64)], series: &Series) {
    for pair in points.windows(2) {
        if let [from, to] = pair {
            line(svg, *from, *to, series);
        }
    }
    for (x, y) in points {
        let _ = writeln!(
            svg,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{}\" fill=\"{}\"/>",
            series.width + 1.0,
            series.color
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::tests::cell;

    #[test]
    fn an_axis_has_whole_decades() {
        let axis = Axis::around([12.0, 700.0].into_iter(), 100.0, 0.0);
        assert_eq!((axis.first, axis.last), (1, 3));
        assert_eq!(axis.decades().collect::<Vec<_>>(), [10.0, 100.0, 1000.0]);
        assert_eq!(
            (axis.at(10.0), axis.at(100.0), axis.at(1000.0)),
            (100.0, 50.0, 0.0)
        );
        let single = Axis::around([10.0].into_iter(), 0.0, 1.0);
        assert_eq!((single.first, single.last), (1, 2));
    }

    #[test]
    fn every_measured_point_is_drawn() {
        let plan = Plan {
            tables: vec![Table::Prefix],
            sizes: vec![10, 100],
            ..Plan::full()
        };
        let cells = [
            cell(Router::CatchAll, 0, Target::Spread, 10),
            cell(Router::Meshgate, 10, Target::Spread, 14),
            cell(Router::Meshgate, 100, Target::Spread, 14),
            cell(Router::List, 100, Target::Last, 30),
        ];
        let svg = draw(&plan, &cells);
        let count = |part: &str| svg.matches(part).count();
        // What has no table is the same at both sizes.
        assert_eq!(count("<circle"), 2 + 2 + 1);
        assert_eq!(count("<path"), SERIES.len() + 2);
        assert_eq!(count("<text"), count("</text>"));
        assert!(svg.contains(">100</text>"), "{svg}");
        assert!(!svg.contains("NaN"), "{svg}");
    }
}
