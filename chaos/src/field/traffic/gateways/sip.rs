//! Messages of a call (RFC 3261), as little of them as is one.

use std::net::SocketAddr;

/// A call, as its client knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leg {
    pub(super) id: u32,
    /// Its own end, as it knows that itself.
    pub(super) own: SocketAddr,
    pub(super) server: SocketAddr,
}

impl Leg {
    /// A request with this number; with `media`, it says where the client wants them.
    pub(super) fn request(&self, method: &str, number: u32, media: Option<SocketAddr>) -> String {
        let Self { id, own, server } = *self;
        // Who acknowledges an answer begins a transaction of its own (§17.1.1.3).
        let branch = format!("z9hG4bK{id}x{number}{method}");
        let tag = if number > 1 || method == "ACK" { format!(";tag={TAG}") } else { String::new() };
        let head = format!(
            "{method} sip:files@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch={branch}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:client@{own}>;tag=c{id}\r\nTo: <sip:files@{server}>{tag}\r\n\
             Call-ID: {}\r\nCSeq: {number} {method}\r\nContact: <sip:client@{own}>\r\n",
            call_id(id)
        );
        with_body(&head, media, number)
    }
}

/// What the server calls itself in every call.
const TAG: &str = "server";

/// The name of a call.
pub(super) fn call_id(id: u32) -> String {
    format!("call-{id}@field")
}

/// The server's answer to a request, as it has heard that; with `media`, it says where it wants them.
pub(super) fn answer(request: &str, own: SocketAddr, media: Option<SocketAddr>) -> Option<String> {
    let mut head = "SIP/2.0 200 OK\r\n".to_owned();
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        let value = field(request, name)?;
        let tag = if name == "To" && !value.contains(";tag=") { ";tag=server" } else { "" };
        head += &format!("{name}: {value}{tag}\r\n");
    }
    head += &format!("Contact: <sip:files@{own}>\r\n");
    Some(with_body(&head, media, 1))
}

fn with_body(head: &str, media: Option<SocketAddr>, version: u32) -> String {
    let Some(media) = media else { return format!("{head}Content-Length: 0\r\n\r\n") };
    let (ip, port) = (media.ip(), media.port());
    let body = format!(
        "v=0\r\no=- 1 {version} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0\r\n"
    );
    let length = body.len();
    format!("{head}Content-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// The value of a header field.
pub(super) fn field<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    let (head, _) = message.split_once("\r\n\r\n")?;
    let mut fields = head.lines().filter_map(|line| line.split_once(": "));
    fields.find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// Whether it is of this call, and of the transaction `number method`; and as long as it says.
pub(super) fn belongs(message: &str, call: u32, sequence: &str) -> bool {
    let Some((_, body)) = message.split_once("\r\n\r\n") else { return false };
    field(message, "Call-ID") == Some(&*call_id(call))
        && field(message, "CSeq") == Some(sequence)
        && field(message, "Content-Length") == Some(&*body.len().to_string())
}

/// Where a message wants media.
pub(super) fn media(message: &str) -> Option<SocketAddr> {
    let (_, body) = message.split_once("\r\n\r\n")?;
    let line = |start| body.lines().find_map(|line| line.strip_prefix(start));
    let address = line("c=IN IP4 ")?.parse::<std::net::IpAddr>().ok()?;
    let port = line("m=audio ")?.split(' ').next()?.parse().ok()?;
    Some((address, port).into())
}

#[cfg(test)]
mod tests {
    use engine::alg::sip::read;

    use super::*;

    #[test]
    fn messages_are_what_a_strict_reader_takes_for_such() {
        let [own, server, media_own] =
            ["10.1.0.2:5070", "10.2.0.3:5060", "10.1.0.2:20000"].map(|it| it.parse().unwrap());
        let leg = Leg { id: 7, own, server };
        for (method, number, offer) in
            [("INVITE", 1, Some(media_own)), ("ACK", 1, None), ("BYE", 3, None)]
        {
            let request = leg.request(method, number, offer);
            let reply = answer(&request, server, offer).unwrap();
            for message in [&request, &reply] {
                read(message.as_bytes(), 7).unwrap_or_else(|it| panic!("{it:?}\n{message}"));
                assert!(belongs(message, 7, &format!("{number} {method}")), "{message}");
                assert!(!belongs(message, 8, &format!("{number} {method}")));
                assert_eq!(media(message), offer);
            }
            assert!(!belongs(&format!("{request}x"), 7, &format!("{number} {method}")));
        }
    }
}
