//! The fan-out as a picture: a panel for each table, a bar for each server. Plain SVG, readable on light and on dark.

use std::fmt::Write;

use super::run::{Mode, Run};
use crate::contenders::Contender;
use crate::markdown::figure;
use crate::record::Record;
use crate::stats::{Spread, distinct};

const WIDTH: f64 = 980.0;
const PANEL_WIDTH: f64 = WIDTH / 2.0;
/// The longest name, in a wide fallback font.
const NAMES_WIDTH: f64 = 250.0;
/// For the figure behind the longest bar.
const FIGURE_WIDTH: f64 = 50.0;
const TITLE_HEIGHT: f64 = 44.0;
const HEADING_HEIGHT: f64 = 30.0;
const BAR_HEIGHT: f64 = 22.0;
const PANEL_GAP: f64 = 18.0;

/// Colours with enough contrast to both backgrounds; only the text has to change.
const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#1f2328}.title{font-size:16px;font-weight:600}\
.heading{font-weight:600}.name{text-anchor:end}.bar{fill:#7d8590}.own{fill:#2f81f7}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}}";

/// One panel: what it shows, and the servers with their medians.
struct Panel {
    heading: String,
    bars: Vec<(String, f64)>,
}

/// CPU of a delivery, for each number of subscribers and mode.
pub(super) fn of(record: &Record<Run>) -> String {
    let panels = distinct(&record.runs, |run| (run.mode, run.subscribers));
    let panels = panels.into_iter().map(|(mode, subscribers)| {
        let runs = record.runs.iter();
        let runs = runs.filter(|run| (run.mode, run.subscribers) == (mode, subscribers));
        panel(&runs.collect::<Vec<_>>())
    });
    draw(&panels.collect::<Vec<_>>())
}

fn panel(runs: &[&Run]) -> Panel {
    let heading = runs.first().map_or_else(String::new, |run| match run.mode {
        Mode::Paced => {
            let per_sec = run.events as f64 / run.secs;
            format!(
                "{} subscribers, {per_sec:.0} events a second",
                run.subscribers
            )
        }
        Mode::Burst => format!("{} subscribers, a burst", run.subscribers),
    });
    let bars = distinct(runs, |run| run.server.clone())
        .into_iter()
        .map(|server| {
            let own = runs.iter().filter(|run| run.server == server);
            let median = own.map(|run| run.cpu_micros).collect::<Spread>().median;
            (server, median)
        });
    let bars = bars.collect();
    Panel { heading, bars }
}

fn draw(panels: &[Panel]) -> String {
    let rows = panels
        .iter()
        .map(|panel| panel.bars.len())
        .max()
        .unwrap_or(0);
    let panel_height = HEADING_HEIGHT + BAR_HEIGHT * rows as f64 + PANEL_GAP;
    let height = TITLE_HEIGHT + panel_height * panels.len().div_ceil(2) as f64;
    let title = "CPU of the server for each delivered event, in microseconds: shorter is better";
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n<text class=\"title\" x=\"10\" y=\"26\">{title}</text>\n"
    );
    for (n, panel) in panels.iter().enumerate() {
        let (x, y) = (
            (n % 2) as f64 * PANEL_WIDTH,
            (n / 2) as f64 * panel_height + TITLE_HEIGHT,
        );
        push_panel(&mut svg, panel, x, y);
    }
    svg + "</svg>\n"
}

fn push_panel(svg: &mut String, panel: &Panel, x: f64, y: f64) {
    let most = panel
        .bars
        .iter()
        .map(|(_, value)| *value)
        .fold(f64::MIN_POSITIVE, f64::max);
    let room = PANEL_WIDTH - NAMES_WIDTH - FIGURE_WIDTH;
    // Writing to a String cannot fail.
    let _ = writeln!(
        svg,
        "<text class=\"heading\" x=\"{}\" y=\"{}\">{}</text>",
        x + 10.0,
        y + 18.0,
        escape(&panel.heading)
    );
    for (n, (name, value)) in panel.bars.iter().enumerate() {
        let top = y + HEADING_HEIGHT + BAR_HEIGHT * n as f64;
        let (left, base, length) = (x + NAMES_WIDTH, top + BAR_HEIGHT - 7.0, room * value / most);
        let own = name == Contender::Tidings.title();
        let _ = writeln!(
            svg,
            "<text class=\"name\" x=\"{}\" y=\"{base}\">{}</text><rect class=\"{}\" x=\"{left}\" y=\"{}\" width=\"{length:.1}\" \
             height=\"{}\"/><text x=\"{:.1}\" y=\"{base}\">{}</text>",
            left - 8.0,
            escape(name),
            if own { "own" } else { "bar" },
            top + 3.0,
            BAR_HEIGHT - 6.0,
            left + length + 6.0,
            figure(*value)
        );
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_fills_its_panel_and_the_others_are_in_proportion() {
        let bars = [("a & b".to_owned(), 10.0), ("Tidings".to_owned(), 2.5)];
        let svg = draw(&[Panel {
            heading: "x < y".to_owned(),
            bars: bars.to_vec(),
        }]);
        assert!(svg.contains("width=\"190.0\""), "{svg}");
        assert!(
            svg.contains("class=\"own\" x=\"250\" y=\"99\" width=\"47.5\""),
            "{svg}"
        );
        assert!(
            svg.contains("x &lt; y") && svg.contains("a &amp; b"),
            "{svg}"
        );
    }
}
