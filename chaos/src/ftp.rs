//! What a client and a server of files say to each other about where a transfer goes (RFC 959, 2428).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// How it is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// The server listens, and not the client.
    pub(crate) passive: bool,
    /// By EPSV and EPRT.
    pub(crate) extended: bool,
}

impl Way {
    pub(crate) const ALL: [Self; 4] = [
        Self { passive: true, extended: false },
        Self { passive: false, extended: false },
        Self { passive: true, extended: true },
        Self { passive: false, extended: true },
    ];

    /// What the client says, where `own` is what listens, if it is the client.
    pub(crate) fn command(self, own: SocketAddr) -> String {
        match (self.passive, self.extended) {
            (true, false) => "PASV\r\n".to_owned(),
            (true, true) => "EPSV\r\n".to_owned(),
            (false, false) => format!("PORT {}\r\n", six(own)),
            (false, true) => {
                format!("EPRT |{}|{}|{}|\r\n", family(own.ip()), own.ip(), own.port())
            }
        }
    }

    /// What the server answers, where `own` is what listens, if it is the server.
    pub(crate) fn reply(self, own: SocketAddr) -> String {
        match (self.passive, self.extended) {
            (true, false) => format!("227 Entering Passive Mode ({}).\r\n", six(own)),
            (true, true) => format!("229 Entering Extended Passive Mode (|||{}|)\r\n", own.port()),
            (false, _) => "200 Command okay.\r\n".to_owned(),
        }
    }

    /// Where the transfer goes, as the other side has heard it from `announcer`.
    pub(crate) fn heard(self, line: &str, announcer: IpAddr) -> Option<SocketAddr> {
        match (self.passive, self.extended) {
            (true, false) => numbers(line.split_once('(')?.1.split_once(')')?.0),
            (false, false) => numbers(line.strip_prefix("PORT ")?.trim_end()),
            (true, true) => {
                let port = line.split_once("(|||")?.1.split_once("|)")?.0;
                Some((announcer, port.parse().ok()?).into())
            }
            (false, true) => {
                let words: Vec<&str> = line.strip_prefix("EPRT |")?.split('|').collect();
                let [protocol, address, port, _] = words[..] else { return None };
                let address: IpAddr = address.parse().ok()?;
                let same = protocol == family(address).to_string();
                same.then_some((address, port.parse().ok()?).into())
            }
        }
    }
}

/// RFC 2428 §2.
const fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { 1 } else { 2 }
}

/// Six numbers, of IPv4 alone.
fn six(endpoint: SocketAddr) -> String {
    let [high, low] = endpoint.port().to_be_bytes();
    format!("{},{high},{low}", endpoint.ip().to_string().replace('.', ","))
}

fn numbers(text: &str) -> Option<SocketAddr> {
    let numbers: Option<Vec<u8>> = text.split(',').map(|it| it.parse().ok()).collect();
    let [a, b, c, d, high, low] = numbers?.try_into().ok()?;
    Some((Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low])).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard() {
        for own in ["10.2.0.3:40001", "[2001:db8::3]:40001"] {
            let own: SocketAddr = own.parse().unwrap();
            for way in Way::ALL.into_iter().filter(|it| it.extended || own.is_ipv4()) {
                let line = if way.passive { way.reply(own) } else { way.command(own) };
                assert_eq!(way.heard(&line, own.ip()), Some(own), "{line}");
                assert_eq!(way.heard("500 What?\r\n", own.ip()), None);
            }
        }
    }
}
