//! Messages about circles, from a member and from a stranger, to a node with a circle and an
//! invite.
//!
//! The input is a list of messages, each of its kind, its length in two bytes, and its body. Each
//! comes from the member as a request, from the member as an answer to whatever waits for one, and
//! from the stranger as a request.
//!
//! Asserted: what is read is written the same; every answer belongs to its request and can be read;
//! requests under way are bounded; a stranger without a proof is answered as by a node without
//! circles; and whatever was said, the log holds nothing that its authors have not signed.

use std::sync::LazyLock;
use std::time::Duration;

use planetary_circles::{
    exchange::{
        Exchange, Invite, Join, JoinState, Kept, Output, Secret, Ticket,
        messages::{Joined, Message, Span, Tag, kind},
    },
    invite::Token,
    limits::{ASKED_MAX, MESSAGE_BODY_MAX, SETTLE_FOR},
    log::{Draft, Kind, Log, OpId, Operation, Role},
};
use planetary_proto::{ExtensionMessage, NodeKey, Now};

use crate::host::{UNIX_START, identity, key, now_at};

/// Whose node it is, a member, and a stranger, as numbers of identities.
const OWN: usize = 0;
const MEMBER: usize = 1;
const STRANGER: usize = 2;
const TOKEN: [u8; 16] = [5; 16];
const SECRET: [u8; 32] = [6; 32];

/// The circle, and the operation that made the invite.
static CIRCLE: LazyLock<(Log, OpId)> = LazyLock::new(circle);

/// See the module.
pub fn circle_message(data: &[u8]) {
    let mut node = node(OWN);
    let mut waiting = Vec::new();
    let (mut rest, mut at) = (data, SETTLE_FOR);
    let mut is_in = false;
    while let Some((&[kind, high, low], more)) = rest.split_first_chunk() {
        let len = usize::from(u16::from_be_bytes([high, low])).min(more.len());
        let (body, after) = more.split_at(len);
        rest = after;
        if let Ok(message) = Message::parse(kind, body) {
            assert_eq!((message.kind(), &message.emit()[..]), (kind, body));
        }
        let message = ExtensionMessage { kind, id: 7, body: body.to_vec() };
        let now = now_at(at);
        at += Duration::from_secs(9);

        node.handle(key(MEMBER), &message, now);
        drain(&mut node, &message, key(MEMBER), &mut waiting);
        if let Some((ticket, to)) = waiting.pop() {
            node.answered(ticket, to, &message, now);
            drain(&mut node, &message, to, &mut waiting);
        }
        node.handle(key(STRANGER), &message, now);
        let told = drain(&mut node, &message, key(STRANGER), &mut waiting);
        let mut nobody = Exchange::new(identity(OWN), [1; 32]);
        nobody.handle(key(STRANGER), &message, now);
        let told_by_nobody = drain(&mut nobody, &message, key(STRANGER), &mut Vec::new());
        is_in |= kind == kind::JOIN && told == Some(Message::Joined(Joined::Welcome).emit());
        assert!(is_in || told == told_by_nobody);
        node.tick(now);
        drain(&mut node, &message, key(MEMBER), &mut waiting);
        assert!(waiting.len() <= ASKED_MAX);
    }
    let log = node.log(&CIRCLE.0.id()).expect("nothing makes a node forget");
    let read = Log::read(&log.to_bytes()).expect("every operation is its author's");
    assert_eq!(read.heads(), log.heads());
}

/// Takes everything that the node wants done, and gives the answer to `from`, if there is one.
fn drain(
    node: &mut Exchange,
    message: &ExtensionMessage,
    from: NodeKey,
    waiting: &mut Vec<(Ticket, NodeKey)>,
) -> Option<Vec<u8>> {
    let mut answered = None;
    while let Some(output) = node.poll() {
        match output {
            Output::Request { ticket, to, kind, body } => {
                assert!(body.len() <= MESSAGE_BODY_MAX && Message::parse(kind, &body).is_ok());
                waiting.push((ticket, to));
            }
            Output::Answer { to, message: answer } => {
                assert_eq!((to, answer.kind, answer.id), (from, message.kind + 1, message.id));
                assert!(answer.body.len() <= MESSAGE_BODY_MAX);
                assert!(Message::parse(answer.kind, &answer.body).is_ok());
                assert!(answered.replace(answer.body).is_none());
            }
            _ => {}
        }
    }
    answered
}

/// The exchange of an identity that has the circle, with its invite if it made that.
fn node(index: usize) -> Exchange {
    let mut node = Exchange::new(identity(index), [index as u8; 32]);
    let (log, invite) = &*CIRCLE;
    let secret = Secret { generation: 1, bytes: SECRET.into() };
    let secrets = if index == OWN { vec![secret] } else { Vec::new() };
    let kept = Kept { secrets, synced_at: None };
    node.restore_circle(log.clone(), kept, start()).expect("there is room");
    if index == OWN {
        let invite = Invite {
            operation: *invite,
            circle: log.id(),
            token: Token::from_bytes(TOKEN),
            expires: UNIX_START + 1_000,
            uses: 2,
            role: Role::Member,
            asks: false,
            revoked: false,
            guests: Vec::new(),
            declined: Vec::new(),
        };
        node.restore_invite(invite).expect("there is room");
    }
    node
}

fn start() -> Now {
    now_at(Duration::ZERO)
}

fn circle() -> (Log, OpId) {
    let name = "Family".parse().expect("a name");
    let (own, member) = (identity(OWN), identity(MEMBER));
    let draft = Draft::genesis(name, vec![own.key()], [7; 16], false).expect("a beginning");
    let mut log = Log::new(draft.sign(&own).expect("its author's")).expect("a beginning");
    let secret = Secret { generation: 1, bytes: SECRET.into() };
    let key = Kind::Key { generation: 1, commitment: secret.commitment() };
    write(&mut log, OWN, key);
    let addition = log.addition(member.key(), Role::Member, None, None);
    write(&mut log, OWN, addition);
    let acceptance = log.acceptance(&member.key(), None).expect("it was added");
    write(&mut log, MEMBER, acceptance);
    let token_hash = Token::from_bytes(TOKEN).hash(&log.id());
    let expires = UNIX_START + 1_000;
    let invite = Kind::Invite { token_hash, expires, uses: 2, role: Role::Member };
    let invite = write(&mut log, OWN, invite).id();
    (log, invite)
}

fn write(log: &mut Log, author: usize, kind: Kind) -> Operation {
    let author = identity(author);
    let draft = Draft::new(log, author.key(), kind).expect("the rules allow it");
    let operation = draft.sign(&author).expect("its author's");
    log.insert(operation.clone()).expect("there is room");
    operation
}

/// Inputs from which a search begins, with their names.
#[must_use]
pub fn circle_message_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let (log, _) = &*CIRCLE;
    let mut member = node(MEMBER);
    let mut now = start();
    let mut tag = None;
    for second in 1..60 {
        now = now_at(Duration::from_secs(second));
        member.tick(now);
        while let Some(output) = member.poll() {
            if let Output::Request { kind: kind::HAVE, body, .. } = output {
                tag = match Message::parse(kind::HAVE, &body) {
                    Ok(Message::Have { tag, .. }) => Some(tag),
                    _ => tag,
                };
            }
        }
    }
    let tag: Tag = tag.expect("a member that starts asks what is new");
    let leave = member.leave(&log.id(), now).expect("a member may leave");
    let last = leave.log().operations().filter(|one| one.author() == key(MEMBER)).last();
    let farewell = last.expect("it has just written").bytes().to_vec();

    let mut guest = Exchange::new(identity(STRANGER), [9; 32]);
    let link = Join {
        circle: log.id(),
        inviter: key(OWN),
        token: Token::from_bytes(TOKEN),
        expires: UNIX_START + 1_000,
        label: Some("Zoe".parse().expect("a name")),
        state: JoinState::Asking,
    };
    guest.join(link, start()).expect("a link of somebody else");
    let join = std::iter::from_fn(|| guest.poll()).find_map(|output| match output {
        Output::Request { body, .. } => Some(Message::parse(kind::JOIN, &body)),
        _ => None,
    });
    let join = join.expect("a guest asks at once").expect("it asks in the right way");

    let all = Span::default();
    let some = Span { from: Some([0; 8]), below: Some([0x80; 8]) };
    let operations: Vec<Vec<u8>> = log.operations().map(|one| one.bytes().to_vec()).collect();
    let heads = log.heads();
    let messages = [
        ("have", Message::Have { tag, heads: heads.clone(), span: all }),
        ("have_nothing", Message::Have { tag, heads: Vec::new(), span: all }),
        ("have_some", Message::Have { tag, heads: heads.clone(), span: some }),
        ("ops", Message::Ops { operations, more: false, heads: Some(heads) }),
        ("ops_nothing", Message::Ops { operations: Vec::new(), more: true, heads: None }),
        ("join", join),
        ("joined", Message::Joined(Joined::Welcome)),
        ("secret", Message::Secret { tag, generation: 1, secret: Some(SECRET) }),
        ("secret_asked", Message::Secret { tag, generation: 1, secret: None }),
        ("taken", Message::Taken { secret: Some(SECRET) }),
        ("push", Message::Push { tag, operations: vec![farewell] }),
        ("held", Message::Held { heads: Some(log.heads()) }),
        ("held_nothing", Message::Held { heads: None }),
        ("offer", Message::Offer { circle: log.id() }),
        ("seen", Message::Seen),
    ];
    let mut seeds: Vec<_> =
        messages.iter().map(|(name, message)| (*name, block(message))).collect();
    let every = messages.iter().flat_map(|(_, message)| block(message)).collect();
    seeds.push(("every_message", every));
    seeds
}

fn block(message: &Message) -> Vec<u8> {
    let body = message.emit();
    let len = u16::try_from(body.len()).expect("a message is short");
    [&[message.kind()][..], &len.to_be_bytes(), &body].concat()
}
