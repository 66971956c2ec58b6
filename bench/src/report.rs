//! The tables and the chart of what has been measured, made again from the files of the runs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::{deflate, fanout, resume, scaling, sends, slow, storm, traffic, unread};

#[derive(clap::Args)]
pub struct Options {
    /// The folder with the files of the runs.
    #[arg(long, default_value = "target/bench")]
    from: PathBuf,
    /// A Markdown file: what stands between `<!-- bench NAME -->` and `<!-- end -->` in it is replaced by the tables of
    /// that name. Printed unless given.
    #[arg(long)]
    into: Option<PathBuf>,
    /// Where the chart goes.
    #[arg(long)]
    chart: Option<PathBuf>,
}

/// The tables in a file of runs; nothing where there is no such file.
type Report = fn(&Path) -> anyhow::Result<Option<String>>;

const REPORTS: [(&str, Report); 10] = [
    ("sends", sends::report),
    ("fanout", fanout::report),
    ("scaling", scaling::report),
    ("resume", resume::report),
    ("slow", slow::report),
    ("storm", storm::report),
    ("rush", storm::rush::report),
    ("traffic", traffic::report),
    ("deflate", deflate::report),
    ("unread", unread::report),
];

pub fn run(options: &Options) -> anyhow::Result<()> {
    let mut page = options.into.as_ref().map(fs::read_to_string).transpose()?;
    for (name, report) in REPORTS {
        let Some(tables) = report(&options.from.join(name).with_extension("json"))? else {
            eprintln!("{name}: not measured");
            continue;
        };
        let tables = match &options.chart {
            Some(chart) if name == "fanout" => format!("{}\n\n{tables}", image(chart)),
            _ => tables,
        };
        match &mut page {
            Some(page) => *page = replaced(page, name, &tables)?,
            None => println!("## {name}\n\n{tables}"),
        }
    }
    if let (Some(path), Some(page)) = (&options.into, page) {
        fs::write(path, page)?;
    }
    if let Some(path) = &options.chart {
        let chart = fanout::chart(&options.from.join("fanout.json"))?;
        fs::write(path, chart.context("the fan-out has not been measured")?)?;
    }
    Ok(())
}

/// A chart beside the page, as the page shows it.
fn image(chart: &Path) -> String {
    let name = chart.file_name().unwrap_or_default().to_string_lossy();
    format!("![CPU of the server for each delivered event]({name})")
}

/// The page with other tables of that name.
fn replaced(page: &str, name: &str, tables: &str) -> anyhow::Result<String> {
    let (begin, end) = (format!("<!-- bench {name} -->\n"), "<!-- end -->");
    let parts = page.split_once(&begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(end)?;
        Some((before, after))
    });
    let (before, after) = parts.with_context(|| format!("there is no place for {name}"))?;
    Ok(format!(
        "{before}{begin}\n{}\n\n{end}{after}",
        tables.trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_take_the_place_of_those_of_their_name() {
        let page =
            "# P\n<!-- bench a -->\nold\n<!-- end -->\ntext\n<!-- bench b -->\n<!-- end -->\n";
        let page = replaced(page, "b", "| b |\n").unwrap();
        let page = replaced(&page, "a", "| a |\n").unwrap();
        let expected = "# P\n<!-- bench a -->\n\n| a |\n\n<!-- end -->\ntext\n<!-- bench b -->\n\n| b |\n\n<!-- end -->\n";
        assert_eq!(page, expected);
        assert_eq!(replaced(&page, "a", "| a |\n").unwrap(), expected, "again");
        assert!(replaced(&page, "c", "").is_err());
    }

    #[test]
    fn everything_that_is_reported_has_its_place_in_the_documents() {
        let page = include_str!("../../docs/performance.md");
        for (name, _) in REPORTS {
            assert!(replaced(page, name, "").is_ok(), "{name}");
        }
    }
}
