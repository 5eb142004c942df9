"""What a notebook does with a run: python analysis/example.py [RUN]"""

import sys

import moesweep

run = moesweep.load(sys.argv[1] if len(sys.argv) > 1 else "runs/paper-demo")
study = run.cases[run.cases.split != "none"]
rows = run.rows[run.rows.case.isin(study.index)]

# Every expert: how often the clean run routes to it, and what it returns there.
experts = rows[(rows.kind == "expert") & (rows.clean_active == 1)].groupby(["layer", "expert"]).rescue.agg(["count", "mean"])
print(experts.sort_values("mean", ascending=False).head(5), "\n")

# The selected expert by relation; a case that does not route to it counts as 0.
chosen = rows[(rows.kind == "expert") & (rows.clean_active == 1) & (rows.layer == run.selected_layer)
              & (rows.expert == run.selected_expert)].set_index("case").rescue
by_relation = chosen.reindex(study.index, fill_value=0).groupby(study.relation).agg(["count", "mean"])
print(by_relation.sort_values("count", ascending=False).head(5), "\n")

# How sure the router was: the weight of its first choice, and how much of the routing the noise changes.
clean, noised = (run.routing[run.routing.run == name].set_index(["case", "layer"]) for name in ("clean", "noised"))
moved = (clean.expert_0 != noised.expert_0).groupby("layer").mean()
print(clean.groupby("layer").weight_0.mean().to_frame("first weight").assign(first_choice_moves=moved).tail(5), "\n")

# The block at the selected layer under every noise that was swept.
noises = run.conditions.rows.query("kind == 'block' and layer == @run.selected_layer")
means = noises.groupby(["noise_scale", "draw"]).rescue.agg(["count", "mean"])
print(means if len(means) else "No further noise was swept.", "\n")

# The tables of the study are there as well, by name.
print(run.results["main_results"][["name", "n", "mean", "ci_low", "ci_high"]])
