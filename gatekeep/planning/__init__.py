"""Desired rotation minus live state, as ordered steps: widen, prove, narrow, prove. Never talks to a cluster."""
