//! What would happen to a packet, stage by stage; nothing changes.

use wire::Time;

use crate::engine::{Content, Engine};
use crate::pipeline::{self, Outcome, Plan, Stage, Watch};
use crate::proxy::Remade;
use crate::{Arrived, PortId, Reason, RuleIndex, State};

/// The answer of [`Engine::explain`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What each stage said, in order.
    pub stages: Vec<(Stage, String)>,
    /// The verdict's name: `forward`, `answer`, `consume`, `hold` or `drop`.
    pub verdict: &'static str,
    /// The reason, when dropped.
    pub reason: Option<Reason>,
    /// What connection tracking said.
    pub state: State,
    /// The rule that was asked.
    pub rule: Option<RuleIndex>,
    /// The port it would leave by.
    pub egress: Option<PortId>,
}

impl Engine {
    /// Judges a frame as if it came in now, and tells what each stage said.
    #[must_use]
    pub fn explain(&self, ingress: PortId, frame: &[u8], now: Time) -> Explanation {
        let content = self.read(ingress, frame);
        let keyed = match &content {
            Content::Ip(keyed) if keyed.fragment.is_none() => keyed,
            Content::Ip(_) => return early("hold", "a fragment: held until complete"),
            Content::Refused(reason) => return refused(*reason),
            Content::Link => {
                return early("forward", "address resolution: passed to the wire's other end");
            }
            Content::Consume => return early("consume", "for the firewall itself"),
        };
        let arrived = Arrived { ingress, packets: 1, pieces: None };
        let mut notes = Notes::default();
        let chosen = pipeline::Chosen::default();
        let seen = (frame, &chosen);
        let mut plan = pipeline::judge(self, keyed, arrived, seen, now, &mut notes);
        if let Outcome::Vouched(proof) = plan.outcome
            && let Some(syn) = Remade::syn(&proof, frame, &keyed.packet)
        {
            let (keyed, frame) = (syn.keyed(keyed), syn.frame());
            let seen = (frame, &chosen);
            plan = pipeline::judge_vouched(self, &keyed, arrived, seen, now, &mut notes);
        }
        notes.explain(&plan)
    }
}

/// Writes down what the stages say.
#[derive(Default)]
struct Notes(Vec<(Stage, String)>);

impl Watch for Notes {
    fn stage(&mut self, stage: Stage, says: impl FnOnce() -> String) {
        self.0.push((stage, says()));
    }
}

impl Notes {
    fn explain(self, plan: &Plan) -> Explanation {
        let (verdict, reason, egress) = match plan.outcome {
            Outcome::Forward(way) => ("forward", None, Some(way.port)),
            Outcome::Answer(_) => ("answer", None, None),
            Outcome::Consume => ("consume", None, None),
            Outcome::Drop(reason) => ("drop", Some(reason), None),
            Outcome::Vouched(_) => ("drop", Some(Reason::BadCookie), None),
        };
        let Plan { state, rule, .. } = *plan;
        Explanation { stages: self.0, verdict, reason, state, rule, egress }
    }
}

fn early(verdict: &'static str, says: &str) -> Explanation {
    let stages = vec![(Stage::Integrity, says.to_owned())];
    Explanation { stages, verdict, reason: None, state: State::None, rule: None, egress: None }
}

fn refused(reason: Reason) -> Explanation {
    Explanation { reason: Some(reason), ..early("drop", reason.explain()) }
}
