//! The order in which views are created.

use crate::dump::catalog::Collection;
use crate::dump::verify::Part;
use crate::error::Error;
use crate::line::words::listed;

/// What a view is defined on.
pub(super) fn source(view: &Collection) -> &str {
    view.options.get_str("viewOn").unwrap_or_default()
}

/// Orders views so that each comes after the one that it is defined on.
pub(super) fn ordered<'d>(views: Vec<&'d Part>) -> Result<Vec<&'d Part>, Error> {
    let mut ordered: Vec<&'d Part> = Vec::new();
    let mut left = views;
    while !left.is_empty() {
        let names: Vec<&str> = left.iter().map(|view| view.collection.name.as_str()).collect();
        let (waiting, ready): (Vec<_>, Vec<_>) = left.iter().partition(|view| names.contains(&source(&view.collection)));
        if ready.is_empty() {
            let message = format!("the dump's views {} are defined on each other in a circle", listed(names));
            return Err(Error::failed(message).with_hint("restore the rest of it: name its other collections in `only=`"));
        }
        ordered.extend(ready);
        left = waiting;
    }
    Ok(ordered)
}

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;

    use super::*;
    use crate::dump::load::plan::tests::part;

    fn view(name: &str, on: &str) -> Part {
        let mut part = part(name);
        part.collection.options = doc! { "viewOn": on };
        part
    }

    #[test]
    fn a_view_comes_after_the_one_that_it_is_defined_on() {
        let views = [view("a", "b"), view("b", "c"), view("c", "posts"), view("d", "b")];
        let ordered = ordered(views.iter().collect()).unwrap();
        let names: Vec<_> = ordered.iter().map(|view| view.collection.name.as_str()).collect();
        assert_eq!(names, ["c", "b", "a", "d"]);
    }

    #[test]
    fn a_circle_of_views_is_refused() {
        for views in [vec![view("a", "a")], vec![view("x", "posts"), view("a", "b"), view("b", "a")]] {
            let error = ordered(views.iter().collect()).unwrap_err().to_string();
            assert!(error.starts_with("the dump's views `a`") && error.ends_with("in a circle"), "{error}");
        }
    }
}
