"""The report on a checked gradient as a self-contained HTML page."""

from functional_nn import plots
from functional_nn.report.pages import Section, Table, page
from functional_nn.verify import Fault, Report, printing

TOLD = 8  # so many faults get a section each; the others share a table


def gradient_page(report: Report) -> str:
    """The report as an HTML page, which loads nothing from the network.

    It shows the verdict, the faults, a heat map of the error in each leaf, and a table with the
    errors of every leaf.

    Args:
        report: a report of `fnn.verify`. Each leaf with `blocks` gets a heat map.

    >>> from functional_nn.verify import Leaf
    >>> leaf = Leaf("['<w>']", (2, 3), {"autodiff": 1e-16}, {"autodiff": True})
    >>> html = gradient_page(Report((), (leaf,), {"autodiff": 1e-12}, "float64"))
    >>> "<h1>RIGHT: 1 of 1 leaves agree</h1>" in html, "&lt;w&gt;" in html
    (True, True)
    """
    right = sum(all(leaf.right.values()) for leaf in report.leaves)
    agree = (f"{right} of {len(report.leaves)} leaves agree" if report.leaves
             else "no leaf was compared")
    count = len(report.faults)
    title = f"RIGHT: {agree}" if report else f"WRONG: {count} fault{'s' * (count != 1)}, {agree}"
    facts = [("leaves that agree", f"{right} of {len(report.leaves)}"), ("faults", count),
             ("largest relative error", f"{report.max_relative_error:.1e}"),
             ("computed in", report.dtype)]
    facts += [(label, str(value))
              for label, value in (("examples", report.examples), ("seed", report.seed))
              if value is not None]
    if report.missed:
        facts.append(("chance that a wrong leaf passed", printing.brief(report.missed)))
    sections = [*_faults(report), *_remarks(report), *_maps(report), *_leaves(report)]
    return page(title, sections, facts=facts)


def _faults(report: Report) -> list[Section]:
    sections = [_fault(report, fault, f"Fault {i}: " if len(report.faults) > 1 else "Fault: ")
                for i, fault in enumerate(report.faults[:TOLD], start=1)]
    if more := report.faults[TOLD:]:
        rows = [(str(TOLD + i), _leaf(fault), printing.mistake(fault),
                 fault.where or fault.message)
                for i, fault in enumerate(more, start=1)]
        sections.append(Section(f"{len(more)} more faults",
                                table=Table(("fault", "leaf", "what", "where"), rows)))
    return sections


def _fault(report: Report, fault: Fault, number: str) -> Section:
    """A section with all that the printed report says about the fault."""
    if not (fault.where or fault.what):
        return Section(f"{number}{printing.clipped(printing.clean(_leaf(fault)), 80)}",
                       fault.message)
    told = [("Where", fault.where), ("Fit", printing.measure(fault)), ("Yours", fault.yours),
            ("Expected", fault.wanted), ("Worst", printing.worst(report, fault))]
    return Section(f"{number}{printing.mistake(fault)}",
                   "\n".join(f"{label}: {text}" for label, text in told if text))


def _leaf(fault: Fault) -> str:
    return fault.leaf or "params"


def _remarks(report: Report) -> list[Section]:
    told = [("Hence", report.hence),
            ("Clear, that is checked and right", ", ".join(report.clear)),
            ("Not the reason", ", ".join(report.cleared)), ("Note", "\n".join(report.notes))]
    text = "\n\n".join(f"{label}: {words}" for label, words in told if words)
    return [Section("What else was found", text)] if text else []


def _maps(report: Report) -> list[Section]:
    """A section with a heat map of each leaf that has blocks, or no section.

    The error of a leaf is the largest of its errors against the references.
    """
    leaves = {leaf.path: {"blocks": leaf.blocks, "shape": leaf.shape,
                          "error": max(leaf.errors.values(), default=0.0),
                          "right": all(leaf.right.values())}
              for leaf in report.leaves if leaf.blocks is not None and leaf.blocks.size}
    if not leaves:
        return []
    figure = plots.error_maps(leaves)
    says = figure.get_suptitle().replace("\n", " ")
    without = len(report.leaves) - len(leaves)
    text = (
        "Each panel is a leaf: columns run along its last axis, rows along all others. The scale "
        "is logarithmic and the same for all; the darker, the further the manual gradient is from "
        "the reference.")
    text += f" {without} leaves without entries to compare have no panel." if without else ""
    return [Section("Where in the leaves", text, figure=figure,
                    figure_alt=f"Heat maps of |manual − reference|: {says}")]


def _leaves(report: Report) -> list[Section]:
    return [Section("Every leaf", table=Table(
        *report.table(), note="An exclamation mark: more than allowed (last row)."))
            ] if report.leaves else []
