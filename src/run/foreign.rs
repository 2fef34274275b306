//! What to say if the registry holds documents that another tool wrote. Pure.

use crate::error::Error;
use crate::line::program::program;
use crate::store::{Author, Foreign, Tool};

/// The error if there are any. Nothing is written to such a collection, and what is in it is not ours to remove.
pub(super) fn error(registry: &str, database: &str, foreign: &[Foreign]) -> Option<Error> {
    let first = foreign.first()?;
    let documents = if foreign.len() == 1 { "a document".into() } else { format!("{} documents", foreign.len()) };
    let because = &first.because;
    let whose = match first.author {
        Author::Tool(tool) => format!("as {} writes them ({because})", tool.as_str()),
        Author::Other(name) => format!("as {name} writes them ({because})"),
        Author::Unknown => format!("which another tool may have written ({because})"),
    };
    let adopt = match first.author {
        Author::Tool(tool) => adopt(tool, registry),
        Author::Other(_) | Author::Unknown => {
            format!("`{} help:adopt` lists the tools whose records can be taken over", program())
        }
    };
    let message = format!("the registry `{registry}` on {database} holds {documents} that this tool did not write, {whose}");
    Some(Error::usage(message).with_hint(format!(
        "leave them as they are, and set MIGRATIONS_COLLECTION (or `migrations_collection` in the manager's config) to the name of \
         another collection. {adopt}"
    )))
}

fn adopt(tool: Tool, registry: &str) -> String {
    format!("`{} adopt:{},from={registry}` then registers what they say is done", program(), tool.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_names_the_tool_and_the_way_out_and_removes_nothing() {
        assert!(error("migrations", "blog", &[]).is_none());
        let of = |author| Foreign { author, because: "a field `x`".into() };
        let two = error("migrations", "blog", &[of(Author::Tool(Tool::MigrateMongo)), of(Author::Unknown)]).unwrap();
        assert_eq!(two.exit_code(), 2);
        assert_eq!(
            two.to_string(),
            "the registry `migrations` on blog holds 2 documents that this tool did not write, as migrate-mongo writes them \
             (a field `x`)"
        );
        let hint = two.hint().unwrap();
        for part in ["MIGRATIONS_COLLECTION", "`cargo migrations adopt:migrate-mongo,from=migrations`"] {
            assert!(hint.contains(part), "{hint}");
        }
        for author in [Author::Other("Laravel"), Author::Unknown] {
            let hint = error("migrations", "blog", &[of(author)]).unwrap().hint().unwrap().to_owned();
            assert!(hint.contains("help:adopt") && !hint.contains("delete"), "{hint}");
        }
    }
}
