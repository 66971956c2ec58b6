//! Tables in Markdown.

use std::fmt;

pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns. The first holds names, the others figures.
    pub fn new<T: Into<String>>(head: impl IntoIterator<Item = T>) -> Self {
        Self {
            head: head.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
        }
    }

    pub fn push(&mut self, row: impl IntoIterator<Item = String>) {
        self.rows.push(row.into_iter().collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |cells: &[String]| format!("| {} |", cells.join(" | "));
        writeln!(f, "{}", line(&self.head))?;
        let figures = self.head.len().saturating_sub(1);
        writeln!(f, "|---|{}", "---:|".repeat(figures))?;
        self.rows
            .iter()
            .try_for_each(|row| writeln!(f, "{}", line(row)))
    }
}

/// A figure with as many decimals as it deserves: three significant digits.
pub fn figure(value: f64) -> String {
    match value.abs() {
        _ if value.is_nan() => "-".to_owned(),
        0.0..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_line_for_each_row() {
        let mut table = Table::new(["who", "µs"]);
        table.push(["a".to_owned(), figure(0.5)]);
        table.push(["b".to_owned(), figure(123.4)]);
        let text = "| who | µs |\n|---|---:|\n| a | 0.50 |\n| b | 123 |\n";
        assert_eq!(table.to_string(), text);
    }

    #[test]
    fn figures_have_three_digits() {
        let figures = [f64::NAN, 0.012, 9.876, 98.76, 987.6, 12_345.6].map(figure);
        assert_eq!(figures, ["-", "0.01", "9.88", "98.8", "988", "12346"]);
    }
}
