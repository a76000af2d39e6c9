//! Columns for people.

use std::io;

use crate::out::Out;

/// Rows under a heading, every column as wide as its widest cell.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table.
    pub(crate) fn new(heading: &[&str]) -> Self {
        Self { rows: vec![heading.iter().map(ToString::to_string).collect()] }
    }

    /// Adds a row; an empty cell shows as `-`.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let shown = |cell: String| if cell.is_empty() { "-".to_owned() } else { cell };
        self.rows.push(cells.into_iter().map(shown).collect());
    }

    /// Prints it, or `nothing` if there is no row.
    pub(crate) fn print(&self, nothing: &str, out: &mut Out<'_>) -> io::Result<()> {
        if self.rows.len() == 1 {
            return out.line(nothing);
        }
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let cells = |column: usize| self.rows.iter().filter_map(move |row| row.get(column));
        let widest = |column| cells(column).map(|cell| width(cell)).max().unwrap_or(0);
        let widths: Vec<_> = (0..columns).map(widest).collect();
        self.rows.iter().try_for_each(|row| out.line(line(row, &widths)))
    }
}

fn width(cell: &str) -> usize {
    cell.chars().count()
}

fn line(row: &[String], widths: &[usize]) -> String {
    let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
    cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

/// A time for people: two units at most, `3d 4h`, `5m 6s`, `1.2s`, `34ms`.
pub(crate) fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1_000;
    match seconds {
        0 => format!("{milliseconds}ms"),
        1..60 => format!("{seconds}.{}s", milliseconds % 1_000 / 100),
        60..3_600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// What may be missing.
pub(crate) fn or_none(text: Option<&str>) -> String {
    text.unwrap_or_default().to_owned()
}

/// A time of the wall's clock, in UTC: `2023-11-14 22:13:20Z`.
pub(crate) fn instant(unix_seconds: u64) -> String {
    let (days, second) = (unix_seconds / 86_400, unix_seconds % 86_400);
    let (year, month, day) = date(days);
    let [hour, minute, second] = [second / 3_600, second / 60 % 60, second % 60];
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month and day of a day since 1970, in the Gregorian calendar. Years begin in March here, so that
/// the day that is sometimes there is the last one.
pub(crate) fn date(days: u64) -> (u64, u64, u64) {
    const TO_1970: u64 = 719_468;
    const DAYS_OF_400_YEARS: u64 = 146_097;
    let days = days + TO_1970;
    let (era, day) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::{Table, duration, instant};
    use crate::out::Out;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["ID", "STATE", "RULE"]);
        table.row(["1".to_owned(), "established".to_owned(), String::new()]);
        table.row(["22".to_owned(), "é".to_owned(), "web".to_owned()]);
        let mut bytes = Vec::new();
        table.print("none", &mut Out::to(&mut bytes, false)).unwrap();
        let expected = "ID  STATE        RULE\n1   established  -\n22  é            web\n";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }

    #[test]
    fn instants_are_those_of_the_calendar() {
        let table = [
            (0, "1970-01-01 00:00:00Z"),
            (951_782_400, "2000-02-29 00:00:00Z"),
            (1_700_000_000, "2023-11-14 22:13:20Z"),
            (1_709_251_199, "2024-02-29 23:59:59Z"),
            (4_107_542_400, "2100-03-01 00:00:00Z"),
        ];
        for (seconds, text) in table {
            assert_eq!(instant(seconds), text);
        }
    }

    #[test]
    fn an_empty_table_says_so() {
        let mut bytes = Vec::new();
        Table::new(&["ID"]).print("no sessions", &mut Out::to(&mut bytes, false)).unwrap();
        assert_eq!(bytes, b"no sessions\n");
    }

    #[test]
    fn times_have_two_units() {
        let table = [
            (0, "0ms"),
            (999, "999ms"),
            (1_234, "1.2s"),
            (59_999, "59.9s"),
            (61_000, "1m 1s"),
            (7_260_000, "2h 1m"),
            (432_000_000, "5d 0h"),
        ];
        for (milliseconds, text) in table {
            assert_eq!(duration(milliseconds), text);
        }
    }
}
