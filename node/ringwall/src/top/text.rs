//! Words and numbers of the screen: nothing but printable ASCII, and as wide as it looks.

/// What takes the place of a character that is not shown.
const HIDDEN: char = '?';
/// What stands at the end of a text that was cut.
const CUT: char = '…';

/// A text from elsewhere, which may hold what a terminal takes for a command, or what is wider than it
/// looks: only printable ASCII is shown as it is.
pub(super) fn plain(text: &str) -> String {
    let shown = |character: char| {
        if character.is_ascii_graphic() || character == ' ' { character } else { HIDDEN }
    };
    text.chars().map(shown).collect()
}

/// A text within so many columns; of a longer one the beginning.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let mut kept: String = text.chars().take(columns.saturating_sub(1)).collect();
    if columns > 0 {
        kept.push(CUT);
    }
    kept
}

/// A text in lines of so many columns, so many lines at most; words stay whole where they fit.
pub(super) fn wrapped(text: &str, columns: usize, lines_max: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() && columns > 0 {
        if rest.chars().count() <= columns || lines.len() + 1 >= lines_max {
            lines.push(cut(rest, columns));
            break;
        }
        let end = rest.char_indices().nth(columns).map_or(rest.len(), |(at, _)| at);
        let space = rest[..end].rfind(' ').filter(|at| *at > 0);
        // A space right behind the line ends a word as well.
        let end = if rest[end..].starts_with(' ') { end } else { space.unwrap_or(end) };
        lines.push(rest[..end].trim_end().to_owned());
        rest = rest[end..].trim_start();
    }
    lines.truncate(lines_max);
    lines
}

/// A number with at most four digits and its unit: `0`, `7.5`, `950`, `1.20k`, `98.1M`.
pub(super) fn scaled(value: f64) -> String {
    if !value.is_finite() || value <= 0.0 {
        return "0".to_owned();
    }
    let mut rest = value;
    for unit in ["", "k", "M", "G", "T"] {
        // What rounds to the next unit is written in it.
        if rest < 999.5 {
            return match rest {
                _ if unit.is_empty() && rest >= 9.95 => format!("{rest:.0}"),
                _ if unit.is_empty() => format!("{rest:.1}"),
                _ if rest < 9.995 => format!("{rest:.2}{unit}"),
                _ if rest < 99.95 => format!("{rest:.1}{unit}"),
                _ => format!("{rest:.0}{unit}"),
            };
        }
        rest /= 1_000.0;
    }
    format!("{:.0}P", rest.min(999.0))
}

/// A count as it is, as long as it is short.
pub(super) fn counted(count: u64) -> String {
    if count < 10_000 { count.to_string() } else { scaled(count as f64) }
}

/// The time of day of a time of the wall's clock, in UTC.
pub(super) fn clock(unix_seconds: u64) -> String {
    let second = unix_seconds % 86_400;
    format!("{:02}:{:02}:{:02}Z", second / 3_600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_not_shown() {
        let table = [
            ("trust", "trust"),
            ("a b~!", "a b~!"),
            ("\x1b[2Jx", "?[2Jx"),
            ("\u{9b}31m\r\n\t\u{7f}\0", "?31m?????"),
            ("\u{202e}abc\u{200b}", "?abc?"),
            ("日本é", "???"),
        ];
        for (text, shown) in table {
            assert_eq!(plain(text), shown);
        }
    }

    #[test]
    fn long_texts_are_cut_to_their_columns() {
        let table = [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("abcd", 1, "…"), ("abcd", 0, "")];
        for (text, columns, shown) in table {
            assert_eq!(cut(text, columns), shown);
        }
    }

    #[test]
    fn lines_end_between_words_where_they_can() {
        let table: [(&str, usize, usize, &[&str]); 7] = [
            ("one two three", 20, 3, &["one two three"]),
            ("one two three", 8, 3, &["one two", "three"]),
            ("one two three", 7, 3, &["one two", "three"]),
            ("onetwothree", 4, 3, &["onet", "woth", "ree"]),
            ("onetwothree", 4, 2, &["onet", "wot…"]),
            ("", 4, 2, &[]),
            ("abc", 0, 2, &[]),
        ];
        for (text, columns, most, lines) in table {
            assert_eq!(wrapped(text, columns, most), lines, "{text} in {columns}");
        }
    }

    #[test]
    fn numbers_have_four_digits_at_most() {
        let table = [
            (0.0, "0"),
            (-1.0, "0"),
            (f64::NAN, "0"),
            (f64::INFINITY, "0"),
            (0.25, "0.2"),
            (9.94, "9.9"),
            (9.96, "10"),
            (999.4, "999"),
            (999.6, "1.00k"),
            (1_234.0, "1.23k"),
            (12_345.0, "12.3k"),
            (999_600.0, "1.00M"),
            (98_100_000.0, "98.1M"),
            (1e12, "1.00T"),
            (1e15, "1P"),
            (1e30, "999P"),
        ];
        for (value, text) in table {
            assert_eq!(scaled(value), text, "{value}");
        }
    }

    #[test]
    fn short_counts_are_exact() {
        let table = [(0, "0"), (7, "7"), (9_999, "9999"), (10_000, "10.0k"), (u64::MAX, "999P")];
        for (count, text) in table {
            assert_eq!(counted(count), text);
        }
    }

    #[test]
    fn the_time_of_day_is_that_of_utc() {
        assert_eq!(clock(1_700_000_000), "22:13:20Z");
    }
}
