"""The contenders, a package or a family of its estimators in each file."""
