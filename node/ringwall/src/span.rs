//! Times as operators write and read them.

use config::limits::{CONFIRM_MILLISECONDS_MAX, CONFIRM_MILLISECONDS_MIN};

use crate::table::duration;

/// Units of what operators write, in milliseconds.
const UNITS: [(char, u64); 3] = [('h', 3_600_000), ('m', 60_000), ('s', 1_000)];

/// How long a trial lasts, from `90s`, `10m` or `1h`: milliseconds, between the bounds.
pub(crate) fn confirm_time(text: &str) -> Result<u64, String> {
    let written = UNITS.iter().find_map(|(unit, size)| Some((text.strip_suffix(*unit)?, size)));
    let number =
        |digits: &str| digits.bytes().all(|it| it.is_ascii_digit()).then(|| digits.parse());
    let milliseconds = written.and_then(|(digits, size)| {
        let number: u64 = number(digits)?.ok()?;
        number.checked_mul(*size)
    });
    let milliseconds = milliseconds.ok_or("write a time as 90s, 10m or 1h")?;
    if (CONFIRM_MILLISECONDS_MIN..=CONFIRM_MILLISECONDS_MAX).contains(&milliseconds) {
        return Ok(milliseconds);
    }
    let [least, most] = [CONFIRM_MILLISECONDS_MIN, CONFIRM_MILLISECONDS_MAX].map(span);
    Err(format!("a trial lasts between {least} and {most}"))
}

/// A time in the unit that it was written in, if it is whole there: `10m`; else as in tables: `9m 58s`.
pub(crate) fn span(milliseconds: u64) -> String {
    let whole = |(_, size): &&(char, u64)| milliseconds > 0 && milliseconds.is_multiple_of(*size);
    match UNITS.iter().find(whole) {
        Some((unit, size)) => format!("{}{unit}", milliseconds / size),
        None => duration(milliseconds),
    }
}

/// How long something took: milliseconds as long as they say something.
pub(crate) fn took(milliseconds: u64) -> String {
    match milliseconds {
        0..10_000 => format!("{milliseconds} ms"),
        _ => duration(milliseconds),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{confirm_time, span, took};
    use config::limits::{CONFIRM_MILLISECONDS_MAX, CONFIRM_MILLISECONDS_MIN};

    #[test]
    fn a_trial_is_written_with_its_unit_and_has_bounds() {
        let good = [("90s", 90_000), ("10m", 600_000), ("1h", 3_600_000), ("5s", 5_000)];
        for (text, milliseconds) in good {
            assert_eq!(confirm_time(text), Ok(milliseconds), "{text}");
        }
        assert_eq!(confirm_time("24h"), Ok(CONFIRM_MILLISECONDS_MAX));
        for text in
            ["", "m", "10", "10 m", "+1m", "-1m", "1.5h", "10M", "1d", "99999999999999999999s"]
        {
            let error = confirm_time(text).unwrap_err();
            assert_eq!(error, "write a time as 90s, 10m or 1h", "{text}");
        }
        for text in ["0s", "4s", "25h", "86401s"] {
            let error = confirm_time(text).unwrap_err();
            assert_eq!(error, "a trial lasts between 5s and 24h", "{text}");
        }
    }

    #[test]
    fn the_bounds_are_those_of_the_log() {
        let [least, most] = [CONFIRM_MILLISECONDS_MIN, CONFIRM_MILLISECONDS_MAX];
        assert_eq!(Duration::from_millis(least), cluster_core::limits::CONFIRM_MIN);
        assert_eq!(Duration::from_millis(most), cluster_core::limits::CONFIRM_MAX);
    }

    #[test]
    fn times_are_read_as_they_are_written() {
        let rows = [(600_000, "10m"), (90_000, "90s"), (7_200_000, "2h"), (598_000, "598s")];
        for (milliseconds, text) in rows {
            assert_eq!(span(milliseconds), text);
        }
        let odd = [(0, "0ms"), (598_123, "9m 58s"), (34, "34ms")];
        for (milliseconds, text) in odd {
            assert_eq!(span(milliseconds), text);
        }
        assert_eq!([38, 9_999, 10_000, 61_000].map(took), ["38 ms", "9999 ms", "10.0s", "1m 1s"]);
    }
}
