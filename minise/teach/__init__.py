"""Teaching: walks through an op with numbers (`explain`), and the exercises of the lessons (`exercises`)."""
