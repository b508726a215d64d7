//! The life of a fault in HTTP where links carry an object's connections in user space: they lead them to us.
//!
//! Nothing of the kernel is changed, no rights are needed. The links are of this process; when it dies, they and all that went
//! over them are gone.

use std::{
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use model::event::Proof;
use proxy::Detour;

use crate::{
    fault::{Abort, Failed, Injection, Undo, UndoError, Undone},
    http::{
        before::Beside,
        doors::Concern,
        effect::{Effect, Stood, told},
        live::{HOME, greet_at},
        order::Plan,
        post::Post,
        proof::Probe,
    },
    object::Object,
    sys::namespace::NetworkNamespace,
};

/// How long a link may take to accept a connection: it does so at once, when it gets the processor.
const PATIENCE: Duration = Duration::from_secs(5);

struct OverLinks {
    /// Before what they lead to, so that they are gone first.
    detours: Vec<Detour>,
    /// The port of each, and where it is reached.
    links: Vec<(u16, SocketAddr)>,
    effect: Effect,
    object: Object,
}

/// Does what is planned.
pub(crate) fn inject(undo: &Undo, plan: Plan) -> Result<Box<dyn Injection>, Failed> {
    let rule = plan.rule()?;
    let paths = plan.concern.paths(&undo.object);
    let here = Arc::new(NetworkNamespace::current().map_err(Failed::to("look at our network"))?);
    for path in paths.iter().filter(|path| path.inward) {
        greet_at(&here, path.port, &[path.course.target()])?;
    }
    let mut probe = Probe::open(&here, HOME.into(), Arc::clone(&here), rule.clone())?;
    let courses: Vec<_> = paths.iter().map(|path| path.course.clone()).collect();
    let post = Post::along(here, courses.clone(), probe.stand_in.address).map_err(Failed::to("listen"))?;
    // The last listener is for the stand-in.
    probe.at = *post.listeners.last().ok_or_else(|| Failed("there is no listener".to_owned()))?;
    // The way is tried before anybody else has to take it.
    probe.before()?;
    post.put(rule.clone());
    let lead = courses.iter().zip(&post.listeners).map(|(course, front)| course.lead_through(*front));
    let detours: Vec<Detour> = lead.collect();
    let beside = Beside(&detours);
    let stood = Stood::after(plan.open, beside.list().len(), || beside.end())?;
    let links = paths.iter().map(|path| (path.port, path.course.link())).collect();
    let effect = Effect::new(post, probe, plan, rule, stood);
    Ok(Box::new(OverLinks { detours, links, effect, object: undo.object.clone() }))
}

impl Injection for OverLinks {
    fn prove(&mut self, abort: &Abort) -> Proof {
        let all = self.links.iter().zip(&self.detours);
        self.effect.prove(abort, |_, plan| {
            let led = all.clone().map(|((port, link), detour)| {
                let inward = matches!(plan.concern, Concern::Over { inward: true, .. });
                let whose = if inward { "" } else { " of others" };
                Ok((format!("to port {port}{whose}"), comes(*link, detour, abort)?))
            });
            Ok(told(led.collect::<Result<Vec<_>, Failed>>()?))
        })
    }

    fn end(self: Box<Self>) -> Result<Undone, UndoError> {
        let Self { detours, effect, object, .. } = *self;
        let proof = Some(effect.whole());
        // No new connections; then those that there are end.
        detours.iter().for_each(Detour::close);
        effect.post.retire(|| detours.iter().all(|detour| detour.passing().0.is_empty()));
        Ok(Undone { cleanliness: object.bare(), proof })
    }
}

/// Whether a connection over a link comes to us: one that says nothing, of which the target never hears.
fn comes(link: SocketAddr, detour: &Detour, abort: &Abort) -> Result<bool, Failed> {
    let stream = TcpStream::connect_timeout(&link, PATIENCE).map_err(Failed::to("connect over the link"))?;
    let own = stream.local_addr().map_err(Failed::to("tell a socket's address"))?;
    let look = || {
        let (through, beside) = detour.passing();
        let is_it = |one: &proxy::Passing| one.client() == own;
        through.iter().any(is_it).then_some(true).or_else(|| beside.iter().any(is_it).then_some(false))
    };
    Ok(abort.until(PATIENCE, look).unwrap_or(false))
}
