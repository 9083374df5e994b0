"""New Year's resolutions of 2015, sorted into ten categories without training."""

from importlib.resources import files

from zerostart.solutions.solution import Solution

SOLUTION = Solution(
    name="zero-shot-text-classification",
    title="Zero-Shot Text Classification",
    summary="Sort New Year's resolutions into ten categories, with a model that has seen none of them.",
    about=(
        "A model is deployed to a real-time endpoint and asked for one resolution. Then a batch transform job sorts "
        "all of them, and a report compares what came out with the categories that people chose."
    ),
    minutes=2,
    sample=files("zerostart.solutions.zero_shot_text_classification") / "resolutions.csv",
    data_file="jumpstart-soln-zero-shot-text-clf-data.csv",
    text_column="text",
    label_column="Resolution_Category",
    labels={
        "Health & Fitness": "health and fitness",
        "Humor": "humor",
        "Personal Growth": "personal growth",
        "Philanthropic": "philanthropy",
        "Recreation & Leisure": "recreation and leisure",
        "Family/Friends/Relationships": "family, friends and relationships",
        "Career": "career",
        "Finance": "finance",
        "Education/Training": "education and training",
        "Time Management/Organization": "time management and organization",
    },
    hypothesis_template="This example is {}.",
    known_as="New-years-resolutions-DFE.csv",
)
