"""Is a run right?"""
