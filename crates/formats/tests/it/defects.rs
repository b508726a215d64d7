//! The source documents: every defect of the inventory that lies in a document is found, and nothing else is.
//!
//! The inventory lists 186 mistakes by row (`M-001` and on). The table below says of each which finding shows it, or why
//! no tool can see it.

use std::collections::BTreeSet;

use formats::{Checked, Kind, Options};

use crate::corpus::shared;

/// How a row of the inventory is seen.
enum Sight {
    /// Seed, line, code.
    Found(&'static str, usize, &'static str),
    /// Why not.
    Unseen(&'static str),
}

use Sight::{Found, Unseen};

/// No document says it: it is prose, or the picture that several documents give together.
const PROSE: &str = "stands in prose or in tables of prose";
const RIGHT: &str = "is right as it stands, or a matter of how a product is made";
const TOGETHER: &str = "shows only when several documents are laid side by side";
const COMMENT: &str = "is in the words of a comment";

const ROWS: &[(u16, Sight)] = &[
    (1, Found("000", 47, "R801")),
    (2, Found("000", 38, "R802")),
    (3, Found("000", 51, "R803")),
    (4, Found("000", 41, "R804")),
    (5, Found("000", 66, "R805")),
    (6, Found("000", 182, "R806")),
    (7, Found("000", 191, "R807")),
    (8, Found("000", 135, "R808")),
    (9, Unseen(COMMENT)),
    (10, Found("000", 114, "R809")),
    (11, Found("000", 132, "R810")),
    (12, Found("000", 113, "R811")),
    (13, Found("000", 117, "R812")),
    (14, Found("000", 270, "F020")),
    (15, Found("000", 293, "F017")),
    (16, Found("000", 228, "F060")),
    (17, Found("000", 220, "F080")),
    (18, Found("000", 335, "R301")),
    (19, Found("000", 376, "R302")),
    (20, Found("000", 415, "R201")),
    (21, Unseen(PROSE)),
    (22, Unseen(PROSE)),
    (23, Found("000", 477, "R304")),
    (24, Found("000", 466, "F004")),
    (25, Found("000", 460, "R306")),
    (26, Found("000", 491, "R101")),
    (27, Found("000", 524, "R507")),
    (28, Found("000", 512, "R506")),
    (29, Unseen(COMMENT)),
    (30, Unseen(COMMENT)),
    (31, Found("000", 563, "R501")),
    (32, Found("000", 588, "R502")),
    (33, Found("000", 566, "R503")),
    (34, Found("000", 597, "R504")),
    (35, Found("000", 637, "R401")),
    (36, Found("000", 641, "R402")),
    (37, Found("000", 632, "R403")),
    (38, Unseen(TOGETHER)),
    (39, Found("000", 660, "R404")),
    (40, Found("000", 702, "R307")),
    (41, Found("000", 747, "R406")),
    (42, Found("000", 764, "R407")),
    (43, Unseen(PROSE)),
    (44, Found("001", 298, "F020")),
    (45, Unseen(PROSE)),
    (46, Found("001", 263, "F020")),
    (47, Unseen(PROSE)),
    (48, Unseen(PROSE)),
    (49, Unseen(PROSE)),
    (50, Unseen(PROSE)),
    (51, Unseen(PROSE)),
    (52, Unseen(PROSE)),
    (53, Unseen(PROSE)),
    (54, Unseen(PROSE)),
    (55, Unseen(PROSE)),
    (56, Unseen(PROSE)),
    (57, Unseen(PROSE)),
    (58, Unseen(PROSE)),
    (59, Unseen(PROSE)),
    (60, Unseen(PROSE)),
    (61, Found("001", 618, "F007")),
    (62, Unseen(PROSE)),
    (63, Unseen(PROSE)),
    (64, Found("002", 48, "F016")),
    (65, Unseen("the text that the project has puts the selector where it belongs")),
    (66, Unseen(TOGETHER)),
    (67, Unseen(TOGETHER)),
    (68, Unseen(TOGETHER)),
    (69, Found("002", 184, "R813")),
    (70, Unseen(COMMENT)),
    (71, Found("002", 233, "R815")),
    (72, Found("002", 241, "R721")),
    (73, Found("002", 241, "R722")),
    (74, Found("002", 266, "R732")),
    (75, Found("002", 275, "R723")),
    (76, Unseen(COMMENT)),
    (77, Unseen(PROSE)),
    (78, Found("000", 296, "R725")),
    (80, Found("003", 153, "R104")),
    (81, Found("003", 580, "R111")),
    (82, Found("003", 188, "R102")),
    (83, Found("003", 196, "R103")),
    (84, Unseen(TOGETHER)),
    (85, Found("003", 712, "R105")),
    (86, Found("003", 714, "R106")),
    (87, Found("003", 547, "R108")),
    (88, Found("003", 548, "R109")),
    (89, Found("003", 542, "R107")),
    (90, Found("003", 555, "R114")),
    (91, Found("003", 553, "R113")),
    (92, Found("003", 555, "R112")),
    (93, Unseen("is a note in a diagram; a failover record always goes back by itself")),
    (94, Found("003", 570, "R729")),
    (95, Found("003", 567, "R715")),
    (96, Unseen(TOGETHER)),
    (97, Unseen(TOGETHER)),
    (98, Found("003", 1059, "R716")),
    (99, Found("003", 573, "R717")),
    (100, Found("003", 1067, "R718")),
    (101, Found("003", 1069, "R719")),
    (102, Found("003", 375, "R122")),
    (103, Found("003", 751, "R119")),
    (104, Found("003", 660, "R121")),
    (105, Found("003", 761, "R120")),
    (106, Found("003", 843, "R204")),
    (107, Found("003", 856, "R202")),
    (108, Found("003", 862, "R203")),
    (109, Found("003", 849, "R205")),
    (110, Unseen(TOGETHER)),
    (111, Found("003", 926, "R210")),
    (112, Found("003", 387, "R118")),
    (113, Found("003", 394, "R117")),
    (114, Found("003", 546, "F003")),
    (115, Found("003", 989, "R508")),
    (116, Found("003", 412, "R909")),
    (117, Unseen(RIGHT)),
    (118, Unseen(RIGHT)),
    (119, Unseen(RIGHT)),
    (120, Found("004", 432, "R904")),
    (121, Unseen(RIGHT)),
    (122, Unseen(TOGETHER)),
    (123, Found("004", 416, "R207")),
    (124, Unseen(COMMENT)),
    (125, Found("004", 333, "R901")),
    (126, Found("004", 334, "R902")),
    (127, Found("004", 361, "R903")),
    (128, Unseen(TOGETHER)),
    (129, Found("004", 595, "R905")),
    (130, Found("004", 600, "R906")),
    (131, Found("004", 602, "R906")),
    (132, Found("004", 603, "R906")),
    (133, Found("004", 585, "R711")),
    (134, Found("004", 1283, "R705")),
    (135, Found("004", 1086, "R701")),
    (136, Found("004", 1978, "R701")),
    (137, Found("004", 459, "R702")),
    (138, Found("004", 864, "R702")),
    (139, Found("004", 917, "R702")),
    (140, Found("004", 980, "R702")),
    (141, Found("004", 2077, "R702")),
    (142, Found("004", 2108, "R702")),
    (143, Found("004", 1472, "R703")),
    (144, Found("004", 1278, "R704")),
    (145, Found("004", 1419, "R704")),
    (146, Found("004", 1293, "R707")),
    (147, Found("004", 1549, "R707")),
    (148, Found("004", 1544, "R708")),
    (149, Found("004", 1941, "R709")),
    (150, Found("004", 1278, "R710")),
    (151, Found("004", 814, "R203")),
    (152, Found("004", 800, "R206")),
    (153, Unseen(PROSE)),
    (154, Found("004", 1150, "R206")),
    (155, Found("004", 1337, "R706")),
    (156, Found("004", 1680, "F050")),
    (157, Found("004", 1684, "F061")),
    (158, Found("004", 1705, "F020")),
    (159, Found("004", 1724, "F022")),
    (160, Found("004", 1628, "R310")),
    (161, Found("004", 1653, "F062")),
    (162, Found("004", 1768, "R728")),
    (163, Found("004", 1813, "R712")),
    (164, Found("004", 1836, "R713")),
    (165, Found("004", 1870, "R110")),
    (166, Found("004", 1881, "R731")),
    (167, Unseen(TOGETHER)),
    (168, Found("004", 2181, "R910")),
    (169, Unseen(TOGETHER)),
    (170, Found("004", 2281, "R705")),
    (171, Unseen("a text that never changes is right in itself; that it should be computed is not in it")),
    (172, Unseen(PROSE)),
    (173, Unseen(PROSE)),
    (174, Found("004", 2397, "R908")),
    (175, Found("004", 2334, "R211")),
    (176, Unseen(RIGHT)),
    (177, Found("004", 393, "R726")),
    (178, Found("004", 408, "R727")),
    (179, Unseen(PROSE)),
    (180, Unseen(PROSE)),
    (181, Unseen(TOGETHER)),
    (182, Unseen(TOGETHER)),
    (183, Unseen(RIGHT)),
    (184, Unseen(TOGETHER)),
    (185, Unseen(TOGETHER)),
    (186, Unseen(RIGHT)),
];

/// Blocks of the seeds in which nothing is wrong, by seed and line of the fence.
const RIGHT_BLOCKS: &[(&str, usize)] = &[
    ("002", 82),   // NetworkChaos
    ("002", 123),  // StressChaos
    ("002", 152),  // StressChaos
    ("002", 254),  // a plan in words
    ("003", 891),  // escalations; only the objective in the prose around them makes their times wrong
    ("003", 947),  // checklists
    ("004", 746),  // calls that need no options
    ("004", 1954), // calls
    ("004", 2000), // calls
    ("004", 2051), // calls
    ("004", 2131), // a matrix of priorities
    ("004", 2479), // a training programme
];

pub(crate) fn check(name: &str, text: &[u8]) -> Checked {
    let catalogue = crate::no_catalogue();
    formats::check(name, text, &Options::new(&catalogue))
}

/// A seed with its number.
fn seeds() -> Option<Vec<(String, String)>> {
    let mut seeds = Vec::new();
    for entry in std::fs::read_dir(shared()?.join("seeds")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        seeds.push((name[..3].to_owned(), std::fs::read_to_string(&path).unwrap()));
    }
    seeds.sort();
    Some(seeds)
}

#[test]
fn every_row_of_the_inventory_is_found_or_said_why_not() {
    let Some(seeds) = seeds() else { return };
    let mut found = BTreeSet::new();
    for (seed, text) in &seeds {
        let checked = check("seed.md", text.as_bytes());
        assert_eq!(checked.kind, Kind::Markdown);
        for finding in &checked.findings {
            found.insert((seed.clone(), finding.line, finding.code.id));
        }
    }
    let mut seen = 0;
    for (row, sight) in ROWS {
        match sight {
            Found(seed, line, code) => {
                seen += 1;
                let here: Vec<_> =
                    found.iter().filter(|(other, at, _)| other == seed && at.abs_diff(*line) < 3).collect();
                assert!(
                    found.contains(&((*seed).to_owned(), *line, *code)),
                    "row \"M-{row:03}\": no {code} in line {line} of {seed}, but {here:?}"
                );
            }
            Unseen(why) => assert!(!why.is_empty(), "row \"M-{row:03}\""),
        }
    }
    println!("{seen} of {} rows are seen", ROWS.len());
    // The inventory has no row 79.
    assert_eq!(ROWS.len(), 185);
    assert!(ROWS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    assert!(seen >= 120, "{seen}");
}

#[test]
fn nothing_is_found_in_the_blocks_that_are_right() {
    let Some(seeds) = seeds() else { return };
    for (seed, first) in RIGHT_BLOCKS {
        let (_, text) = seeds.iter().find(|(name, _)| name == seed).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let fence = lines[first - 1].trim();
        let body = &lines[*first..];
        let end = body.iter().position(|line| line.trim() == "```").unwrap();
        let ending = match fence.trim_start_matches('`') {
            "bash" => "sh",
            "python" => "py",
            _ => "yaml",
        };
        let checked = check(&format!("block.{ending}"), body[..end].join("\n").as_bytes());
        let shown = formats::render::terminal(&checked.findings, &checked.source, false);
        // That a document is somebody's own is no finding about it.
        assert!(
            checked.findings.iter().all(|finding| finding.code.id == "F008" && !formats::has_errors(&checked.findings)),
            "{seed} {first}:\n{shown}"
        );
    }
}

#[test]
fn nothing_is_wrong_with_the_corpus() {
    let Some(shared) = shared() else { return };
    let mut files = 0;
    for (folder, kind) in [("chaos-mesh", Kind::ChaosMesh), ("fis", Kind::FisTemplate)] {
        for entry in std::fs::read_dir(shared.join("corpus").join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let checked = check(&path.to_string_lossy(), &std::fs::read(&path).unwrap());
            assert_eq!(checked.kind, kind, "{}", path.display());
            // That nothing would stop an experiment is true of these, and worth a warning.
            let wrong: Vec<_> = checked.findings.iter().filter(|finding| finding.code.id != "F051").collect();
            assert!(wrong.is_empty(), "{}: {wrong:?}", path.display());
            files += 1;
        }
    }
    assert!(files > 30);
}
