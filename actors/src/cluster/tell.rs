//! What happens in the cluster, in words for the log.

use cluster_core::membership::{Class, Event};

use super::paths::Paths;

pub(super) fn tell(event: Event, paths: &Paths) {
    match event {
        Event::Role { from, to, term } => {
            tracing::info!(%from, %to, %term, "the role of this node changed");
        }
        Event::TookOver { term, why, detection } => {
            tracing::warn!(%term, ?why, ?detection, "THIS NODE IS ACTIVE");
        }
        Event::SwitchoverFailed { to } => {
            tracing::warn!(%to, "the switchover did not come about; this node goes on");
        }
        Event::SplitHealed { from, to } => tracing::error!(
            span = ?to.since(from),
            "both nodes may have forwarded: they did not hear each other on any path"
        ),
        Event::Paused(span) => {
            tracing::warn!(?span, "this node was not run for a while, and listens anew");
        }
        Event::Path { peer, path, up: true, diagnostic: _ } => {
            tracing::info!(%peer, path = paths.name(path), "the path is up");
        }
        Event::Path { peer, path, up: false, diagnostic } => {
            tracing::warn!(%peer, path = paths.name(path), ?diagnostic, "the path is down");
        }
        Event::PeerBooted { peer, boot } => {
            tracing::info!(%peer, boot = boot.0, "the peer has started");
        }
        Event::PeerClass { peer, class } => match class {
            Class::Fit => tracing::info!(%peer, "the peer is fit"),
            Class::Impaired => tracing::warn!(%peer, "the peer is impaired"),
            Class::Unable => tracing::warn!(%peer, "the peer cannot own"),
        },
        Event::PolicyDiffers { owner } => tracing::error!(
            %owner,
            "the dead owner ran another policy: THIS NODE DOES NOT TAKE OVER; commit the same policy"
        ),
        Event::MembersDiffer { peer, ours_is_old: true } => tracing::error!(
            %peer,
            "the peer knows of other members: THIS NODE DOES NOT OWN; give it the list \
             (`ringwall cluster join --renew`) and restart it"
        ),
        Event::MembersDiffer { peer, ours_is_old: false } => {
            tracing::warn!(%peer, "the peer has an old list of members: it does not own until it is renewed");
        }
        Event::MembersSettled { version } => {
            tracing::info!(version, "all members go by this list of them");
        }
        Event::AddressConflict(address) => {
            tracing::error!(%address, "somebody else uses an address of the group");
        }
    }
}
