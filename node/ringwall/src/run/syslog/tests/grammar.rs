//! A strict reader of RFC 5424 §6: what it takes is a message, and nothing else is.

/// A message, taken apart. `-` is `None`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) priority: u8,
    pub(super) time: String,
    pub(super) host: Option<String>,
    pub(super) app: Option<String>,
    pub(super) process: Option<String>,
    pub(super) event: Option<String>,
    /// SD-ID, and its parameters without escapes.
    pub(super) data: Vec<Element>,
    pub(super) text: Option<String>,
}

/// Structured data under one name.
pub(super) type Element = (String, Vec<(String, String)>);

/// The text that is left.
struct Rest<'a>(&'a str);

type Read<T> = Result<T, String>;

/// Reads a whole message.
pub(super) fn parse(message: &str) -> Read<Parsed> {
    let mut rest = Rest(message);
    let priority = rest.priority()?;
    rest.exactly("1 ")?;
    let time = rest.timestamp()?;
    let host = rest.part(255)?;
    let app = rest.part(48)?;
    let process = rest.part(128)?;
    let event = rest.part(32)?;
    let data = rest.data()?;
    let text = rest.text()?;
    Ok(Parsed { priority, time, host, app, process, event, data, text })
}

impl<'a> Rest<'a> {
    fn exactly(&mut self, text: &str) -> Read<()> {
        self.0 = self.0.strip_prefix(text).ok_or_else(|| format!("no {text:?} in {:?}", self.0))?;
        Ok(())
    }

    fn until(&mut self, end: char) -> Read<&'a str> {
        let (text, rest) = self.0.split_once(end).ok_or_else(|| format!("no {end:?}"))?;
        self.0 = rest;
        Ok(text)
    }

    /// PRI = "<" 1*3DIGIT ">", 0 to 191, without zeros in front.
    fn priority(&mut self) -> Read<u8> {
        self.exactly("<")?;
        let digits = self.until('>')?;
        let number: u8 = digits.parse().map_err(|_| format!("priority {digits}"))?;
        let plain = number <= 191 && number.to_string() == digits;
        plain.then_some(number).ok_or_else(|| format!("priority {digits}"))
    }

    /// FULL-DATE "T" TIME "." 1*6DIGIT "Z", each in its range, and no leap second.
    fn timestamp(&mut self) -> Read<String> {
        let text = self.until(' ')?;
        let shape = "dddd-dd-ddTdd:dd:dd.ddddddZ";
        let fits = |(is, should): (char, char)| match should {
            'd' => is.is_ascii_digit(),
            other => is == other,
        };
        if text.len() != shape.len() || !text.chars().zip(shape.chars()).all(fits) {
            return Err(format!("time {text}"));
        }
        let number = |at: core::ops::Range<usize>| text[at].parse::<u32>().unwrap();
        let ranges =
            [(5..7, 1, 12), (8..10, 1, 31), (11..13, 0, 23), (14..16, 0, 59), (17..19, 0, 59)];
        let good = ranges.into_iter().all(|(at, low, high)| (low..=high).contains(&number(at)));
        good.then(|| text.to_owned()).ok_or_else(|| format!("time {text}"))
    }

    /// NILVALUE / 1*max PRINTUSASCII, and a space.
    fn part(&mut self, max: usize) -> Read<Option<String>> {
        let text = self.until(' ')?;
        let good =
            !text.is_empty() && text.len() <= max && text.bytes().all(|it| it.is_ascii_graphic());
        match text {
            "-" => Ok(None),
            _ if good => Ok(Some(text.to_owned())),
            _ => Err(format!("header {text:?}")),
        }
    }

    fn data(&mut self) -> Read<Vec<Element>> {
        let mut all: Vec<Element> = Vec::new();
        if self.0.starts_with('-') {
            self.exactly("-")?;
            return Ok(all);
        }
        while self.0.starts_with('[') {
            let (id, parameters) = self.element()?;
            if all.iter().any(|(known, _)| *known == id) {
                return Err(format!("{id} stands there twice"));
            }
            all.push((id, parameters));
        }
        if all.is_empty() { Err(format!("no data in {:?}", self.0)) } else { Ok(all) }
    }

    fn element(&mut self) -> Read<Element> {
        self.exactly("[")?;
        let id = self.name()?;
        // A name without an @ is reserved for the IETF (§6.3.2); behind it stands an enterprise number.
        let own = id.split_once('@').is_some_and(|(name, number)| {
            !name.is_empty() && number.parse::<u32>().is_ok_and(|it| it.to_string() == number)
        });
        if !own && !["timeQuality", "origin", "meta"].contains(&id.as_str()) {
            return Err(format!("SD-ID {id}"));
        }
        let mut parameters = Vec::new();
        while self.0.starts_with(' ') {
            self.exactly(" ")?;
            let name = self.name()?;
            self.exactly("=\"")?;
            parameters.push((name, self.value()?));
        }
        self.exactly("]")?;
        Ok((id, parameters))
    }

    /// SD-NAME = 1*32PRINTUSASCII, except '=', SP, ']', '"'.
    fn name(&mut self) -> Read<String> {
        let end = self.0.find(['=', ' ', ']', '"']).ok_or("a name without an end")?;
        let (name, rest) = self.0.split_at(end);
        self.0 = rest;
        let good = (1..=32).contains(&name.len()) && name.bytes().all(|it| it.is_ascii_graphic());
        good.then(|| name.to_owned()).ok_or_else(|| format!("name {name:?}"))
    }

    /// PARAM-VALUE up to its closing quote: '"', '\' and ']' are escaped, and nothing else is.
    fn value(&mut self) -> Read<String> {
        let mut value = String::new();
        let mut characters = self.0.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.0 = &self.0[at + 1..];
                    return Ok(value);
                }
                ']' => return Err(format!("] without a backslash in {:?}", self.0)),
                '\\' => match characters.next() {
                    Some((_, escaped @ ('"' | '\\' | ']'))) => value.push(escaped),
                    other => return Err(format!("\\ before {other:?}")),
                },
                _ => value.push(character),
            }
        }
        Err("a value without an end".to_owned())
    }

    /// [SP MSG], of which ours is always UTF-8 with its mark.
    fn text(&mut self) -> Read<Option<String>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        self.exactly(" \u{feff}")?;
        Ok(Some(self.0.to_owned()))
    }
}

/// The reader refuses what is none, so that it can be trusted with what is one.
#[test]
fn what_is_no_message_is_refused() {
    let good = "<134>1 2026-11-30T06:14:44.123456Z h a 1 - [a@1 b=\"\\]\"] \u{feff}x";
    assert_eq!(parse(good).unwrap().data[0].1, [("b".to_owned(), "]".to_owned())]);
    let bad = [
        ("<134>", "<192>"),
        ("<134>", "<0134>"),
        (">1 ", ">2 "),
        ("T06:14", " 06:14"),
        ("11-30", "13-30"),
        (".123456Z", ".123456"),
        ("Z h ", "Z  "),
        ("Z h ", "Z h\u{e9} "),
        ("[a@1 ", "[a "),
        ("[a@1 ", "[a@01 "),
        ("b=", "b b="),
        ("\\]", "]"),
        ("\\]", "\\x"),
        ("\\]\"", "\\\""),
        ("\"] ", "\"]"),
        (" \u{feff}x", " x"),
        ("] \u{feff}", "][a@1] \u{feff}"),
    ];
    for (part, other) in bad {
        let message = good.replacen(part, other, 1);
        assert_ne!(message, good);
        assert!(parse(&message).is_err(), "{message}");
    }
}
