//! Columns on a screen whose width is what it is: those that matter least go first, then the widest texts
//! are cut.

use super::text::{cut, plain};

/// A table: columns of equally many cells.
#[derive(Debug, Default)]
pub(super) struct Columns {
    columns: Vec<Column>,
}

/// Where the cells of a column stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

#[derive(Debug)]
struct Column {
    heading: &'static str,
    align: Align,
    /// The highest goes first where there is no room.
    dispensable: u8,
    cells: Vec<String>,
}

/// Columns between two columns.
const GAP: usize = 2;
/// Columns of a text that is cut: less says nothing.
const CUT_TO: usize = 6;

impl Columns {
    /// Adds a column; one that is not dispensable (0) always stays.
    pub(super) fn add(
        &mut self,
        heading: &'static str,
        align: Align,
        dispensable: u8,
        cells: impl Iterator<Item = String>,
    ) {
        let shown = |cell: String| if cell.is_empty() { "-".to_owned() } else { plain(&cell) };
        let cells = cells.map(shown).collect();
        self.columns.push(Column { heading, align, dispensable, cells });
    }

    /// The heading and the rows, each within so many columns.
    pub(super) fn lines(mut self, columns: usize) -> Vec<String> {
        while self.width() > columns && self.drop_one() {}
        let mut widths: Vec<usize> = self.columns.iter().map(Column::width).collect();
        let gaps = GAP * widths.len().saturating_sub(1);
        while widths.iter().sum::<usize>() + gaps > columns && self.narrow(&mut widths) {}
        let rows = self.columns.iter().map(|column| column.cells.len()).max().unwrap_or(0);
        let line = |text: &dyn Fn(&Column) -> String| {
            let cells = self.columns.iter().zip(&widths);
            let cells = cells.map(|(column, width)| column.align.place(&text(column), *width));
            cut(cells.collect::<Vec<_>>().join("  ").trim_end(), columns)
        };
        let heading = line(&|column| column.heading.to_owned());
        let row = |row| line(&|column: &Column| column.cells.get(row).cloned().unwrap_or_default());
        core::iter::once(heading).chain((0..rows).map(row)).collect()
    }

    fn width(&self) -> usize {
        let gaps = GAP * self.columns.len().saturating_sub(1);
        self.columns.iter().map(Column::width).sum::<usize>() + gaps
    }

    /// Drops the column that matters least, the last of equals.
    fn drop_one(&mut self) -> bool {
        let of = |(at, column): (usize, &Column)| (column.dispensable, at);
        let (dispensable, at) = self.columns.iter().enumerate().map(of).max().unwrap_or_default();
        if dispensable > 0 {
            self.columns.remove(at);
        }
        dispensable > 0
    }

    /// Takes one from the widest column of texts.
    fn narrow(&self, widths: &mut [usize]) -> bool {
        let of_text = self.columns.iter().zip(widths).filter(|(it, _)| it.align == Align::Left);
        let widest = of_text.map(|(_, width)| width).max_by_key(|width| **width);
        let Some(width) = widest.filter(|width| **width > CUT_TO) else { return false };
        *width -= 1;
        true
    }
}

impl Column {
    fn width(&self) -> usize {
        let cells = self.cells.iter().map(|cell| cell.chars().count());
        cells.max().unwrap_or(0).max(self.heading.len())
    }
}

impl Align {
    fn place(self, text: &str, width: usize) -> String {
        let text = cut(text, width);
        match self {
            Self::Left => format!("{text:width$}"),
            Self::Right => format!("{text:>width$}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(columns: usize) -> Vec<String> {
        let mut table = Columns::default();
        let cells = |cells: [&'static str; 2]| cells.into_iter().map(str::to_owned);
        table.add("ZONE", Align::Left, 2, cells(["a", "\x1bb"]));
        table.add("SOURCE", Align::Left, 0, cells(["192.0.2.1", "2001:db8:1::1"]));
        table.add("BIT/S", Align::Right, 0, cells(["1", ""]));
        table.add("P/S", Align::Right, 1, cells(["22", "4444"]));
        table.lines(columns)
    }

    #[test]
    fn what_matters_least_goes_first_then_texts_are_cut() {
        assert_eq!(
            lines(80),
            [
                "ZONE  SOURCE         BIT/S   P/S",
                "a     192.0.2.1          1    22",
                "?b    2001:db8:1::1      -  4444",
            ]
        );
        assert_eq!(lines(32).len(), 3);
        assert_eq!(lines(31)[2], "2001:db8:1::1      -  4444");
        assert_eq!(lines(25)[2], "2001:db8:1::1      -");
        assert_eq!(lines(18)[2], "2001:db8:1…      -");
        assert_eq!(lines(13)[2], "2001:…      -");
        // Narrower than what always stays: it is cut where the screen ends.
        assert_eq!(lines(8)[2], "2001:… …");
        assert_eq!(lines(0), ["", "", ""]);
    }

    #[test]
    fn no_line_is_wider_than_it_may_be() {
        for columns in 0..90 {
            assert!(lines(columns).iter().all(|line| line.chars().count() <= columns), "{columns}");
        }
    }
}
