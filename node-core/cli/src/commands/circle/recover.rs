//! `planetary circle recover`: what the key on paper is for.

use planetary_ipc::recovery::RecoveryError;
use planetary_ipc::{
    ApiError, CircleDetails, CircleDraft, CircleState, Client, ErrorCode, MemberState, NodeKey,
    Party,
};

use super::{circle_named, find_member, key_of, name, refused};
use crate::args::RecoverArgs;
use crate::failure::Failure;
use crate::format::{self, Printer};
use crate::passphrase;

pub(super) async fn run(
    client: &Client,
    printer: &Printer,
    args: RecoverArgs,
) -> Result<(), Failure> {
    let circle = circle_named(client, &args.circle.circle).await?;
    if !circle.recovery {
        let text = format!("{} has no key on paper", circle.name);
        let hint = "an admin whose rank is above can add or remove whoever it is about";
        return Err(refused(ApiError::new(ErrorCode::CircleRights, text).with_hint(hint)));
    }
    let own = client.hello().status.key;
    // Whom it is about is known before the words are asked for.
    let removed = match &args.remove {
        Some(text) => {
            let details = client.circle(circle.id).await?;
            Some(find_member(&details, text)?.party.clone())
        }
        None => None,
    };
    let key = match (&removed, &args.admin) {
        (Some(party), _) => party.key,
        (None, Some(text)) => key_of(client, text).await?,
        (None, None) => own,
    };
    let paper = passphrase::paper_key(args.words_file).await?;
    let recovery = paper.key();
    let draft = match removed {
        Some(_) => CircleDraft::Remove { circle: circle.id, recovery, key },
        None => CircleDraft::Add { circle: circle.id, recovery, key },
    };
    let operation = client.draft_circle(draft).await?;
    let operation = paper.sign(&operation).map_err(unusable)?;
    let mut after = client.submit_circle(operation).await?;
    if key == own && after.circle.state == CircleState::Invited {
        // Whoever types the words to get in has agreed.
        after = client.accept_circle(circle.id).await?;
    }
    Ok(printer.print(&*after, |after, _| words(after, removed.as_ref(), (key, key == own)))?)
}

fn unusable(error: RecoveryError) -> Failure {
    let message = format!("the words were not used: {error}");
    Failure::Here { code: "invalid_words", message, hint: None }
}

fn words(after: &CircleDetails, removed: Option<&Party>, (key, own): (NodeKey, bool)) -> String {
    let circle = name(&after.circle);
    match removed {
        Some(party) => {
            format!("Removed {} from {circle}, by the key on paper.\n", format::party(party))
        }
        None if own => format!("This computer is an admin of {circle}, by the key on paper.\n"),
        None => {
            let made = after.members.iter().find(|member| member.party.key == key);
            let who = made.map_or_else(|| format::digits(key), |made| format::party(&made.party));
            let agree = match made.map(|made| made.state) {
                Some(MemberState::Invited) => " once its person agrees",
                _ => "",
            };
            format!("{who} is an admin of {circle}{agree}, by the key on paper.\n")
        }
    }
}
