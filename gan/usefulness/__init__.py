"""Do generated images help a detector?"""
