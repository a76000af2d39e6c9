//! A packet in one line of text. `tests/vectors/README.md` tells the language; this is its parser.

use std::net::IpAddr;

/// What one line says of a frame.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Line {
    /// The bytes themselves.
    Raw(Vec<u8>),
    /// A packet, to be built.
    Packet(Box<Packet>),
}

/// An IP packet with an Ethernet header around it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Packet {
    pub(crate) source: (IpAddr, u16),
    pub(crate) destination: (IpAddr, u16),
    pub(crate) body: Body,
    pub(crate) ip: Ip,
    pub(crate) frame: Frame,
}

/// The transport header and what follows it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Body {
    Tcp(Tcp),
    Udp { len: usize },
    Icmp(Icmp),
    Other { protocol: u8, len: usize },
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tcp {
    pub(crate) flags: u8,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) window: u16,
    pub(crate) options: Vec<u8>,
    pub(crate) len: usize,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Icmp {
    pub(crate) kind: u8,
    pub(crate) code: u8,
    /// Bytes 4 to 7: id and sequence, or MTU, or unused.
    pub(crate) rest: u32,
    pub(crate) len: usize,
    /// The packet that an error is about, and how many of its bytes are quoted.
    pub(crate) about: Option<(Box<Packet>, usize)>,
}

/// Fields of the IP header, and what is done to the datagram.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ip {
    pub(crate) ttl: u8,
    pub(crate) tos: u8,
    pub(crate) id: u32,
    pub(crate) dont_fragment: bool,
    /// IPv4 options, a multiple of four bytes.
    pub(crate) options: Vec<u8>,
    /// IPv6 extension headers: protocol number, and the header without its first byte.
    pub(crate) extensions: Vec<(u8, Vec<u8>)>,
    pub(crate) fragment: Option<Fragment>,
}

/// Which piece of the datagram this packet is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fragment {
    pub(crate) id: u32,
    pub(crate) offset: usize,
    pub(crate) len: usize,
    pub(crate) more: bool,
}

/// What is done to the frame: tags, MACs, and everything that makes it wrong.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Frame {
    pub(crate) vlans: Vec<u16>,
    pub(crate) destination_mac: Option<[u8; 6]>,
    pub(crate) source_mac: Option<[u8; 6]>,
    pub(crate) patches: Vec<Patch>,
    pub(crate) bad_ip_checksum: bool,
    pub(crate) checksum: Checksum,
    pub(crate) cut: Option<usize>,
    pub(crate) pad: usize,
}

/// Bytes written over the headers before the checksums are made.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Patch {
    pub(crate) base: Base,
    pub(crate) offset: usize,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Base {
    Ethernet,
    Ip,
    Transport,
}

/// The transport checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Checksum {
    #[default]
    Good,
    Bad,
    /// The pseudo-header's sum alone, as a sender leaves it for its hardware.
    Partial,
    /// Zero: none (UDP).
    Absent,
}

/// What is different in each packet of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Next {
    Same,
    /// The source port is one higher.
    Port,
    /// The destination port is one higher.
    ToPort,
    /// It is a fragment of the next datagram.
    Datagram,
    /// It is the next fragment of the same datagram.
    Piece,
    /// It is the next segment: its sequence number is higher by the payload.
    Sequence,
}

type Words<'a, 'b> = &'a mut std::iter::Peekable<std::str::SplitWhitespace<'b>>;

impl Line {
    /// Parses what stands behind the port's name.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some(bytes) = text.strip_prefix("raw ") {
            return hex(bytes).map(Self::Raw);
        }
        let mut words = text.split_whitespace().peekable();
        let packet = Packet::parse(&mut words)?;
        match words.next() {
            None => Ok(Self::Packet(Box::new(packet))),
            Some(word) => Err(format!("`{word}` is not understood")),
        }
    }

    /// The packet of this number, from 0, in a row that begins with this one.
    pub(crate) fn following(&self, number: u16, next: Next) -> Self {
        let mut line = self.clone();
        if let Self::Packet(packet) = &mut line {
            if let (Next::Sequence, Body::Tcp(tcp)) = (next, &mut packet.body) {
                tcp.seq = tcp.seq.wrapping_add(u32::from(number) * tcp.len as u32);
            }
            let fragment = packet.ip.fragment.as_mut();
            match (next, fragment) {
                (Next::Port, _) => packet.source.1 += number,
                (Next::ToPort, _) => packet.destination.1 += number,
                (Next::Datagram, Some(fragment)) => fragment.id += u32::from(number),
                (Next::Piece, Some(piece)) => piece.offset += usize::from(number) * piece.len,
                (Next::Same | Next::Datagram | Next::Piece | Next::Sequence, _) => {}
            }
        }
        line
    }
}

impl Packet {
    /// Parses up to the end, or up to a `}` that it leaves.
    fn parse(words: Words<'_, '_>) -> Result<Self, String> {
        let source = endpoint(words.next().ok_or("source expected")?)?;
        if words.next() != Some(">") {
            return Err("`>` expected behind the source".into());
        }
        let destination = endpoint(words.next().ok_or("destination expected")?)?;
        if source.0.is_ipv4() != destination.0.is_ipv4() {
            return Err("source and destination are of two families".into());
        }
        let kind = words.next().ok_or("protocol expected")?;
        let body = Body::of(kind, source.0.is_ipv4())?;
        let mut packet =
            Self { source, destination, body, ip: Ip::default(), frame: Frame::default() };
        while words.peek().is_some_and(|word| *word != "}") {
            let word = words.next().expect("just seen");
            packet.field(word, words)?;
        }
        Ok(packet)
    }

    /// One word behind the protocol.
    fn field(&mut self, word: &str, words: Words<'_, '_>) -> Result<(), String> {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let known = match name {
            "{" => return self.body.embed(words),
            _ => {
                self.ip.field(name, value)?
                    || self.frame.field(name, value)?
                    || self.body.field(name, value, self.source.0.is_ipv4())?
            }
        };
        if known { Ok(()) } else { Err(format!("`{word}` is not understood")) }
    }
}

impl Body {
    fn of(kind: &str, v4: bool) -> Result<Self, String> {
        Ok(match kind {
            "tcp" => Self::Tcp(Tcp { window: u16::MAX, ..Tcp::default() }),
            "udp" => Self::Udp { len: 0 },
            "icmp" => Self::Icmp(Icmp::of(8, 128, v4)),
            _ => {
                let number = kind.strip_prefix("proto=").ok_or(format!("protocol `{kind}`?"))?;
                Self::Other { protocol: number_of(number)?, len: 0 }
            }
        })
    }

    fn field(&mut self, name: &str, value: &str, v4: bool) -> Result<bool, String> {
        match self {
            Self::Tcp(tcp) => tcp.field(name, value),
            Self::Icmp(icmp) => icmp.field(name, value, v4),
            Self::Udp { len } | Self::Other { len, .. } => {
                let known = name == "len";
                if known {
                    *len = number_of(value)?;
                }
                Ok(known)
            }
        }
    }

    /// `{ PACKET }`: what an ICMP error is about.
    fn embed(&mut self, words: Words<'_, '_>) -> Result<(), String> {
        let Self::Icmp(icmp) = self else { return Err("`{` behind something not ICMP".into()) };
        let about = Packet::parse(words)?;
        let quoted = icmp.about.take().map_or(usize::MAX, |(_, quoted)| quoted);
        icmp.about = Some((Box::new(about), quoted));
        match words.next() {
            Some("}") => Ok(()),
            _ => Err("`}` expected".into()),
        }
    }
}

impl Tcp {
    fn field(&mut self, name: &str, value: &str) -> Result<bool, String> {
        match name {
            "seq" => self.seq = number_of(value)?,
            "ack" => self.ack = number_of(value)?,
            "win" => self.window = number_of(value)?,
            "len" => self.len = number_of(value)?,
            "mss" => self.option(2, &number_of::<u16>(value)?.to_be_bytes()),
            "ws" => self.option(3, &[number_of(value)?]),
            "sackok" => self.option(4, &[]),
            "opt" => self.options.extend(hex(value)?),
            flags if value.is_empty() => return self.set(flags),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn option(&mut self, kind: u8, value: &[u8]) {
        self.options.extend([kind, value.len() as u8 + 2]);
        self.options.extend(value);
    }

    /// `S`, `SA`, `FA`, …; `-` for none at all.
    fn set(&mut self, flags: &str) -> Result<bool, String> {
        const LETTERS: &str = "FSRPAUEC";
        for letter in flags.chars().filter(|letter| *letter != '-') {
            let Some(bit) = LETTERS.find(letter) else { return Ok(false) };
            self.flags |= 1 << bit;
        }
        Ok(true)
    }
}

impl Icmp {
    fn of(v4: u8, v6: u8, is_v4: bool) -> Self {
        Self { kind: if is_v4 { v4 } else { v6 }, ..Self::default() }
    }

    fn field(&mut self, name: &str, value: &str, v4: bool) -> Result<bool, String> {
        let kind = |of4: u8, of6: u8| if v4 { of4 } else { of6 };
        match name {
            "echo" => self.kind = kind(8, 128),
            "reply" => self.kind = kind(0, 129),
            "unreachable" => (self.kind, self.code) = (kind(3, 1), number_of(value)?),
            "exceeded" => (self.kind, self.code) = (kind(11, 3), number_of(value)?),
            "toobig" => {
                (self.kind, self.code, self.rest) = (kind(3, 2), kind(4, 0), number_of(value)?)
            }
            "type" => self.kind = number_of(value)?,
            "code" => self.code = number_of(value)?,
            "id" => self.rest |= number_of::<u32>(value)? << 16,
            "seq" => self.rest |= number_of::<u32>(value)?,
            "len" => self.len = number_of(value)?,
            "quote" => {
                let (about, _) = self.about.take().ok_or("`quote=` goes behind the packet")?;
                self.about = Some((about, number_of(value)?));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Default for Ip {
    fn default() -> Self {
        Self {
            ttl: 64,
            tos: 0,
            id: 1,
            dont_fragment: false,
            options: Vec::new(),
            extensions: Vec::new(),
            fragment: None,
        }
    }
}

impl Ip {
    fn field(&mut self, name: &str, value: &str) -> Result<bool, String> {
        match name {
            "ttl" => self.ttl = number_of(value)?,
            "tos" => self.tos = number_of(value)?,
            "ipid" => self.id = number_of(value)?,
            "df" => self.dont_fragment = true,
            "ipopt" => self.options = hex(value)?,
            "ext" => {
                let (number, bytes) = value.split_once(':').ok_or("ext=NUMBER:HEX")?;
                self.extensions.push((number_of(number)?, hex(bytes)?));
            }
            "frag" => self.fragment = Some(Fragment::parse(value)?),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Fragment {
    /// `ID:OFFSET+LEN`, with another `+` when more follow; in bytes.
    fn parse(text: &str) -> Result<Self, String> {
        let (id, piece) = text.split_once(':').ok_or("frag=ID:OFFSET+LEN[+]")?;
        let (piece, more) = piece.strip_suffix('+').map_or((piece, false), |piece| (piece, true));
        let (offset, len) = piece.split_once('+').ok_or("frag=ID:OFFSET+LEN[+]")?;
        Ok(Self { id: number_of(id)?, offset: number_of(offset)?, len: number_of(len)?, more })
    }
}

impl Frame {
    fn field(&mut self, name: &str, value: &str) -> Result<bool, String> {
        match (name, value) {
            ("vlan", _) => self.vlans.push(number_of(value)?),
            ("dmac", _) => self.destination_mac = Some(mac(value)?),
            ("smac", _) => self.source_mac = Some(mac(value)?),
            ("patch", _) => self.patches.push(Patch::parse(value)?),
            ("checksum", "ip") => self.bad_ip_checksum = true,
            ("checksum", "bad") => self.checksum = Checksum::Bad,
            ("checksum", "partial") => self.checksum = Checksum::Partial,
            ("checksum", "none") => self.checksum = Checksum::Absent,
            ("cut", _) => self.cut = Some(number_of(value)?),
            ("pad", _) => self.pad = number_of(value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Patch {
    /// `eth+N:HEX`, `ip+N:HEX`, `l4+N:HEX`.
    fn parse(text: &str) -> Result<Self, String> {
        let (place, bytes) = text.split_once(':').ok_or("patch=BASE+N:HEX")?;
        let (base, offset) = place.split_once('+').ok_or("patch=BASE+N:HEX")?;
        let base = match base {
            "eth" => Base::Ethernet,
            "ip" => Base::Ip,
            "l4" => Base::Transport,
            _ => return Err(format!("patch: `{base}` is none of eth, ip, l4")),
        };
        Ok(Self { base, offset: number_of(offset)?, bytes: hex(bytes)? })
    }
}

/// `10.0.1.2:80`, `10.0.1.2`, `[2001:db8::1]:80`, `2001:db8::1`; the port is 0 when there is none.
fn endpoint(text: &str) -> Result<(IpAddr, u16), String> {
    if let Ok(address) = text.parse() {
        return Ok((address, 0));
    }
    let (address, port) = text.rsplit_once(':').ok_or(format!("`{text}` is no address"))?;
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let address = address.parse().map_err(|_| format!("`{address}` is no address"))?;
    Ok((address, number_of(port)?))
}

/// A number, decimal or with `0x`.
pub(crate) fn number_of<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    let number = number.map_err(|_| format!("`{text}` is no number"))?;
    T::try_from(number).map_err(|_| format!("{text} is too large"))
}

fn mac(text: &str) -> Result<[u8; 6], String> {
    let bytes = hex(&text.replace(':', ""))?;
    bytes.try_into().map_err(|_| format!("`{text}` is no MAC address"))
}

fn hex(text: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    let byte = |pair: &[char]| {
        let pair: String = pair.iter().collect();
        u8::from_str_radix(&pair, 16).ok().filter(|_| pair.len() == 2)
    };
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    bytes.ok_or(format!("`{text}` is no sequence of bytes in hex"))
}
