//! `show conversations`.

use config::api::{self, ConversationsPage};

use super::{Page, sessions};
use crate::failure::Failure;
use crate::out::Out;

pub(super) fn run(page: &Page, out: &mut Out<'_>) -> Result<(), Failure> {
    let answer: ConversationsPage =
        page.daemon.client()?.post(api::CONVERSATIONS, &page.request())?;
    if out.json() {
        return Ok(out.value(&answer)?);
    }
    for conversation in &answer.conversations {
        let (forward, reverse) = (conversation.forward, conversation.reverse);
        out.line(format!(
            "conversation {}: {} packets, {} bytes; back {} packets, {} bytes",
            conversation.id, forward.packets, forward.bytes, reverse.packets, reverse.bytes
        ))?;
        sessions::table(&conversation.sessions).print("no sessions", out)?;
    }
    out.line(format!("{} shown", answer.conversations.len()))?;
    if let Some(cursor) = answer.cursor {
        out.line(format!("there are more: --cursor {cursor}"))?;
    }
    Ok(())
}
