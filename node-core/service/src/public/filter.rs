//! Which entries of a list a person means.

use std::collections::BTreeSet;

use planetary_ipc::{ApiError, ErrorCode, PublicFilter};

use super::list::{Listed, PublicList, place};
use crate::config::{nearest, printable};

/// Names of places in one sentence.
const NAMED_MAX: usize = 8;

/// The entries for which everything in the filter holds, in the order of the list.
///
/// # Errors
/// The list has no such country, region or transport; the hint names the nearest or the first that
/// it has.
pub fn matching<'a>(
    list: &'a PublicList,
    filter: &PublicFilter,
) -> Result<Vec<&'a Listed>, ApiError> {
    let country = known("country", filter.country.as_deref(), list, |peer| &peer.country)?;
    let region = known("region", filter.region.as_deref(), list, |peer| &peer.region)?;
    let mut transports = BTreeSet::new();
    for transport in &filter.transports {
        let found = known("transport", Some(transport), list, |peer| &peer.transport)?;
        transports.extend(found);
    }
    let search = filter.search.as_ref().map(|text| text.to_lowercase());
    let fits = |peer: &&Listed| {
        let contains = |text: &String| {
            [&peer.name, &peer.country, &peer.region].iter().any(|part| part.contains(text))
        };
        country.as_ref().is_none_or(|country| *country == peer.country)
            && region.as_ref().is_none_or(|region| *region == peer.region)
            && (transports.is_empty() || transports.contains(&peer.transport))
            && search.as_ref().is_none_or(contains)
    };
    Ok(list.peers.iter().filter(fits).collect())
}

/// The text in the form of the list, if the list has it.
fn known(
    what: &str,
    asked: Option<&str>,
    list: &PublicList,
    of: fn(&Listed) -> &String,
) -> Result<Option<String>, ApiError> {
    let Some(asked) = asked else { return Ok(None) };
    let names: BTreeSet<&str> = list.peers.iter().map(|peer| of(peer).as_str()).collect();
    let form = place(asked);
    if let Some(form) = form.filter(|form| names.contains(form.as_str())) {
        return Ok(Some(form));
    }
    let text = format!("the list of public peers has no {what} \"{}\"", printable(asked));
    let hint = match nearest(asked, names.iter().copied()) {
        Some(name) => format!("the nearest that it has is {name}"),
        None if names.len() <= NAMED_MAX => format!("it has {}", Vec::from_iter(names).join(", ")),
        None => "`planetary peer public --list` shows what it has".to_owned(),
    };
    Err(ApiError::new(ErrorCode::PeerNotFound, text).with_hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(filter: &PublicFilter) -> usize {
        matching(&PublicList::shipped(), filter).unwrap().len()
    }

    #[test]
    fn filters_narrow_the_list_and_places_may_be_written_as_people_do() {
        let all = count(&PublicFilter::default());
        let states = PublicFilter { country: Some("United States".into()), ..Default::default() };
        let narrow = PublicFilter { transports: vec!["TLS".into()], ..states.clone() };
        assert!(count(&states) > 10 && count(&states) < all);
        assert!(count(&narrow) > 0 && count(&narrow) < count(&states));
        let two = PublicFilter { transports: vec!["tls".into(), "quic".into()], ..states.clone() };
        assert!(count(&two) > count(&narrow));
        let nowhere = PublicFilter { region: Some("asia".into()), ..states };
        assert_eq!(count(&nowhere), 0);
        let search = PublicFilter { search: Some(":443".into()), ..Default::default() };
        assert!(count(&search) > 5 && count(&search) < all);
    }

    #[test]
    fn what_the_list_does_not_have_is_said_with_the_nearest() {
        let list = PublicList::shipped();
        let refused = |filter| matching(&list, &filter).unwrap_err();
        let error = refused(PublicFilter { country: Some("germny".into()), ..Default::default() });
        assert_eq!(error.hint.unwrap(), "the nearest that it has is germany");
        let error =
            refused(PublicFilter { country: Some("mars\u{1b}[1m".into()), ..Default::default() });
        assert!(!error.message.contains('\u{1b}') && error.hint.unwrap().contains("--list"));
        let error = refused(PublicFilter { transports: vec!["udp".into()], ..Default::default() });
        assert!(error.message.contains("no transport \"udp\""), "{error:?}");
    }
}
